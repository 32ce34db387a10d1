import { fallback, names, overrideVariables, rowsOf } from './describe.ts'
import { sections } from './settings.ts'

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
