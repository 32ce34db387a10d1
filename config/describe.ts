import { wrapped } from '../proxy/lib/wrapped.ts'
import { type Setting, sections } from './settings.ts'
import { fileVariable, routeVariables, rows } from './variables.ts'

/** The settings as `--help` prints them. */
export function settingsHelp(): string {
  const blocks = sections.map((section) => {
    const entries = rowsOf(section).map(([name, row]) =>
      [
        `  ${names(name, row).join(', ')} (${plain(helpDefault(row))})`,
        ...wrapped(plain(row.about), '      '),
      ].join('\n'),
    )
    return [section, ...entries].join('\n')
  })
  const overrides = wrapped(
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

/** The settings of one section, by name. */
export function rowsOf(section: string): (readonly [string, Setting])[] {
  return rows.filter(([, row]) => row.section === section)
}

/** A setting's variables: itself, and its pair that names a file. */
export function names(name: string, row: Setting): string[] {
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
export function overrideVariables(): string[] {
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
