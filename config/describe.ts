import { type Setting, sections } from './settings.ts'
import { fileVariable, routeVariables, rows } from './variables.ts'

const HELP_WIDTH = 96

/** The settings as `--help` prints them, at most 96 columns wide. */
export function settingsHelp(): string {
  const blocks = sections.map((section) => {
    const entries = rowsOf(section).map(([name, row]) =>
      [
        `  ${names(name, row).join(', ')} (${plain(helpDefault(row))})`,
        ...wrap(plain(row.about), '      '),
      ].join('\n'),
    )
    return [section, ...entries].join('\n')
  })
  const overrides = wrap(
    `What a route does not set is inherited. For a route N in ROUTES: ${overrideVariables().join(', ')}.`,
    '  ',
  )
  return [
    'Settings are environment variables. Durations: 250ms, 30s, 5m, 12h. Sizes: 64KiB, 1MiB.',
    ...blocks,
    overrides.join('\n'),
  ]
    .join('\n\n')
    .replaceAll(FIXED_SPACE, ' ')
}

/** The settings as docs/configuration.md. */
export function settingsMarkdown(): string {
  return [INTRODUCTION, ...sections.map(sectionMarkdown), ROUTES_EXPLAINED(overrideVariables())].join('\n')
}

function sectionMarkdown(section: string): string {
  const lines = rowsOf(section).map(([name, row]) => {
    const variables = names(name, row).map((variable) => `\`${variable}\``)
    const cells = [variables.join(' or '), fallback(row), row.about]
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  })
  return [`## ${section}`, '', '| variable | default | meaning |', '| --- | --- | --- |', ...lines, ''].join(
    '\n',
  )
}

function rowsOf(section: string): (readonly [string, Setting])[] {
  return rows.filter(([, row]) => row.section === section)
}

function names(name: string, row: Setting): string[] {
  return row.file === true ? [name, fileVariable(name)] : [name]
}

/** The default in words, Markdown. */
export function fallback(row: Setting): string {
  if (row.required === true) return row.file === true ? 'required, exactly one' : 'required'
  if (row.otherwise !== undefined) return row.otherwise
  if (row.fallback === undefined) return 'none'
  return row.fallback === '' ? 'empty' : `\`${row.fallback}\``
}

function helpDefault(row: Setting): string {
  return row.required === true ? fallback(row) : `default: ${fallback(row)}`
}

/** The variables that override a setting for one route. */
function overrideVariables(): string[] {
  return routeVariables('N').filter((variable) => !rows.some(([name]) => name === variable))
}

/** Stands for a space that a line must not end at. */
const FIXED_SPACE = '\u00a0'

/** Without the backquotes; what has spaces between two of them gets quotation marks and stays on one line. */
function plain(markdown: string): string {
  return markdown.replace(/`([^`]*)`/g, (_, code: string) =>
    code.includes(' ') ? `"${code.replaceAll(' ', FIXED_SPACE)}"` : code,
  )
}

/** Lines of at most 96 columns, each after the indent. */
export function wrap(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    const isFirst = line === indent
    if (!isFirst && line.length + 1 + word.length > HELP_WIDTH) {
      lines.push(line)
      line = indent + word
    } else {
      line += isFirst ? word : ` ${word}`
    }
  }
  return [...lines, line]
}

const INTRODUCTION = `<!-- Generated from config/settings.ts by "npm run docs": do not edit. -->

# Configuration

Every setting is an environment variable. The environment is read once, when the process starts; if anything in it is
wrong, the process ends with exit code 78 and lists every problem at once, by variable name and never with the value of
a secret. \`token-sidecar check --config-only\` does that and nothing else.

The least that works:

\`\`\`sh
CLIENT_SECRET_FILE=/run/secrets/clear-client-secret
UPSTREAM_URL=https://api.clear.in
\`\`\`

## How values are written

* **Durations** are a whole number with a unit: \`250ms\`, \`30s\`, \`5m\`, \`12h\`; zero is \`0s\`. The longest is \`576h\` (24 days).
* **Sizes** are bytes as a plain number or with a binary unit: \`65536\`, \`64KiB\`, \`1MiB\`, \`1GiB\`.
* **Yes or no** is \`true\` or \`false\`.
* **Lists** have commas between entries; white space around an entry does not count.
* **URLs** are http or https and have no user name, password, query or fragment.
* A variable that is **set to nothing** counts as not set, because charts and Compose files render absent values that way.
  White space at either end of a value is removed, except where the table says that it counts.
* Where a variable has a pair that ends in **\`_FILE\`**, the pair gives the path of a file that holds the value;
  set only one of the two. White space at either end of the file is removed.

A variable that is not in the tables but looks misspelled, such as \`CLIENT_SECRETS\` or \`UPSTREM_URL\`, is
reported as a warning with the nearest name. Settings that work but contradict each other are warnings as well.
`

const ROUTES_EXPLAINED = (overrides: readonly string[]) => `### Routes by example

The settings above describe the main route, which serves every path. Add routes for further workspaces or
regions. Each has a name, listed in \`ROUTES\`, which is in upper case in the names of its variables. You may set these for
a route N; what is not set is inherited from the main route:

${overrides.map((variable) => `* \`${variable}\``).join('\n')}

If neither the route nor the main settings name a \`TOKEN_URL\`, it is the usual token path on the origin of the route's
\`UPSTREAM_URL\`. Routes with the same token URL and secret share one token; every other pair has its own token, quota
and budget. Since an empty variable counts as not set, a route cannot remove the main route's \`TOKEN_PREFIX\`.

\`\`\`sh
CLIENT_SECRET_FILE=/run/secrets/india
UPSTREAM_URL=https://api.clear.in

ROUTES=gls,my
# http://127.0.0.1:8080/gls/v1/ping goes to https://api.clear.in/v1/ping with a token of another workspace
ROUTE_GLS_PREFIX=/gls
ROUTE_GLS_CLIENT_SECRET_FILE=/run/secrets/gls
# http://127.0.0.1:8080/my/v1/ping goes to https://my.example.com/einvoicing/v1/ping, read-only
ROUTE_MY_PREFIX=/my
ROUTE_MY_UPSTREAM_URL=https://my.example.com/einvoicing
ROUTE_MY_CLIENT_SECRET_FILE=/run/secrets/my
ROUTE_MY_TOKEN_HEADER=x-clear-auth-token
ROUTE_MY_ALLOW=GET /einvoicing/**
\`\`\`
`
