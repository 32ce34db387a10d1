import { wrapped } from '../proxy/lib/wrapped.ts'
import { fallback } from './describe.ts'
import { embeddedDefaults } from './embedded-defaults.ts'
import type { Setting } from './settings.ts'
import { fileVariable, rows } from './variables.ts'

/** The settings as the TypeScript type that editors complete and explain: config/sidecar-settings.ts. */
export function settingsType(): string {
  const members = rows.flatMap(([name, row]) => {
    // Variables of routes are known by their beginning only.
    if (row.perRoute === 'only') return []
    const own = member(name, `${row.about} ${defaultSentence(name, row)}`)
    return row.file === true
      ? [...own, ...member(fileVariable(name), `Path of a file that holds \`${name}\`, in its place.`)]
      : own
  })
  return [
    '// Generated from config/settings.ts by "npm run docs": do not edit.',
    '',
    '/** The settings of a sidecar, by the names that they have in an environment. */',
    'export interface SidecarSettings {',
    ...members,
    ...docstring('What a route that `ROUTES` names has for itself, such as `ROUTE_GLS_PREFIX`.'),
    '  readonly [variable: `ROUTE_$' + '{string}`]: string | undefined',
    '}',
    '',
  ].join('\n')
}

function member(variable: string, about: string): string[] {
  return [...docstring(about), `  readonly ${variable}?: string | undefined`]
}

function defaultSentence(name: string, row: Setting): string {
  if (row.required === true) return row.file === true ? 'Required, here or in a file.' : 'Required.'
  const embedded = new Map<string, string>(Object.entries(embeddedDefaults)).get(name)
  return `Default: ${embedded === undefined ? fallback(row) : `\`${embedded}\``}.`
}

/** What would end the comment, as patterns of paths do, gets an invisible character. */
function docstring(about: string): string[] {
  const [first = '', ...more] = wrapped(about.replaceAll('*/', '*\u200b/'), '   * ')
  return more.length === 0 ? [`  /** ${first.slice(5)} */`] : ['  /**', first, ...more, '   */']
}
