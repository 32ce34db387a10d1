import { type Setting, type SettingName, settings } from './settings.ts'

/** The environment: variable name to text. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The rows of the table with their names, in its order. */
export const rows: readonly (readonly [SettingName, Setting])[] = Object.entries(settings) as [
  SettingName,
  Setting,
][]

/** The variable whose value is the path of a file with the setting's value. */
export function fileVariable(variable: string): string {
  return `${variable}_FILE`
}

/** The variable of one route: `ROUTE_GLS_PREFIX`, `ROUTE_GLS_TOKEN_URL`. Route names are upper case in it. */
export function routeVariable(route: string, setting: SettingName | string): string {
  return `ROUTE_${route.toUpperCase()}_${setting.replace(/^ROUTE_N_/, '')}`
}

/** Every variable that means something to the process as a whole. */
export function mainVariables(): string[] {
  return rows.flatMap(([name, row]) => (row.perRoute === 'only' ? [] : withFile(name, row)))
}

/** Every variable that means something to one route. `N` as its name gives the form used in documents. */
export function routeVariables(route: string): string[] {
  return rows.flatMap(([name, row]) =>
    row.perRoute === undefined ? [] : withFile(routeVariable(route, name), row),
  )
}

function withFile(variable: string, row: Setting): string[] {
  return row.file === true ? [variable, fileVariable(variable)] : [variable]
}

/** The variables of this environment whose value is a secret or may have a password in it. */
export function secretVariables(env: Environment): string[] {
  const bases = rows.flatMap(([name, row]) => (row.secret === true || name === 'TOKEN_STORE' ? [name] : []))
  return Object.keys(env).filter((variable) =>
    bases.some((base) => variable === base || (/^ROUTE_./.test(variable) && variable.endsWith(`_${base}`))),
  )
}
