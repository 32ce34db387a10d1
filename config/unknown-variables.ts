import type { ConfigWarning } from './config-error.ts'
import { type Compared, compared, resemblance } from './resemblance.ts'
import type { Reading } from './settings-reader.ts'
import { type Environment, mainVariables, routeVariables } from './variables.ts'

/** Variables that Kubernetes and Docker links set for each service: a service may well be named `route-x` or `upstream`. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)(_|$)|_PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?$/

/** Warnings about variables that are none of ours but look as if they were meant to be. */
export function unknownVariables(env: Environment, routes: Reading<readonly string[]>): ConfigWarning[] {
  const routeNames = routes.value ?? []
  const known = new Set([...mainVariables(), ...routeNames.flatMap(routeVariables)])
  const candidates = [...known].map(compared)
  const warnings: ConfigWarning[] = []
  for (const [variable, text = ''] of Object.entries(env)) {
    if (text.trim() === '' || known.has(variable) || SERVICE_LINK.test(variable)) continue
    const strayRoute = routeOf(variable)
    if (strayRoute !== null && !known.has(variable.toUpperCase())) {
      // When ROUTES itself is invalid, nobody knows which routes were meant.
      if (routes.isSet && routes.value === null) continue
      warnings.push({ variable, message: `has no effect: ROUTES does not name a route ${strayRoute}` })
      continue
    }
    const nearest = nearestOf(variable, candidates)
    const isRouteLike = routeNames.some((name) => variable.startsWith(`ROUTE_${name.toUpperCase()}_`))
    if (nearest !== null) warnings.push({ variable, message: `is not a setting: did you mean ${nearest}?` })
    else if (isRouteLike) warnings.push({ variable, message: 'is not a setting that a route can have' })
  }
  return warnings
}

/** What follows the name in a route's variables; the longest first, since `_TOKEN_PREFIX` ends like `_PREFIX`. */
const ROUTE_SUFFIXES = routeVariables('N')
  .map((variable) => variable.slice('ROUTE_N'.length))
  .sort((a, b) => b.length - a.length)

/** `X` of `ROUTE_X_PREFIX` and of every other variable that a route may have. */
function routeOf(variable: string): string | null {
  const upper = variable.toUpperCase()
  for (const suffix of ROUTE_SUFFIXES) {
    if (
      upper.startsWith('ROUTE_') &&
      upper.endsWith(suffix) &&
      upper.length > 'ROUTE_'.length + suffix.length
    ) {
      return variable.slice('ROUTE_'.length, -suffix.length)
    }
  }
  return null
}

function nearestOf(variable: string, candidates: readonly Compared[]): string | null {
  const given = compared(variable.toUpperCase())
  let nearest: string | null = null
  let least = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const distance = resemblance(given, candidate)
    if (distance !== null && distance < least) {
      nearest = candidate.name
      least = distance
    }
  }
  return nearest
}
