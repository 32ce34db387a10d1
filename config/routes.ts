import type { CredentialConfig, RouteConfig } from './config.ts'
import type { SettingName } from './settings.ts'
import type { SettingsReader } from './settings-reader.ts'
import { routeVariable, routeVariables } from './variables.ts'

/** Path of the Generate Access Token API on the origin of the business APIs. */
const USUAL_TOKEN_PATH = '/integration/v1/authz/token'

/** A route together with what its token is minted with, before equal credentials are found. */
interface Draft {
  readonly route: Omit<RouteConfig, 'credential'>
  readonly credential: Omit<CredentialConfig, 'name'>
}

/** The routes, longest prefix first, and the credentials they need; both empty when the main route is not valid. */
export function readRoutes(reader: SettingsReader): {
  routes: RouteConfig[]
  credentials: CredentialConfig[]
} {
  const names = reader.read('ROUTES').value ?? []
  noteSharedVariables(names, reader)
  const main = readMain(reader)
  const drafts = names.map((name) => readRoute(name, main, reader))
  noteSharedPrefixes(names, reader)

  const credentials: CredentialConfig[] = []
  const routes: RouteConfig[] = []
  for (const draft of [main, ...drafts]) {
    if (draft === null) continue
    const credential = sharedCredential(credentials, draft)
    routes.push({ ...draft.route, credential: credential.name })
  }
  return { routes: routes.sort((a, b) => b.prefix.length - a.prefix.length), credentials }
}

function readMain(reader: SettingsReader): Draft | null {
  const secret = reader.read('CLIENT_SECRET')
  const upstream = reader.read('UPSTREAM_URL').value
  const tokenUrl = reader.read('TOKEN_URL').value
  const tokenHeader = reader.value('TOKEN_HEADER')
  const tokenPrefix = reader.value('TOKEN_PREFIX')
  const allow = reader.read('ALLOW').value
  if (secret.value === null || upstream === null) return null
  return {
    route: { name: 'default', prefix: '/', upstream, tokenHeader, tokenPrefix, allow },
    credential: {
      tokenUrl: tokenUrl ?? usualTokenUrl(upstream),
      secret: secret.value,
      secretFile: secret.file,
    },
  }
}

/** Reads everything of the route, so that all its problems are noted, even when there is no main route to inherit from. */
function readRoute(name: string, main: Draft | null, reader: SettingsReader): Draft | null {
  const own = <N extends SettingName>(setting: N) => reader.read(setting, routeVariable(name, setting))
  const prefix = own('ROUTE_N_PREFIX').value
  const upstream = own('UPSTREAM_URL').value
  const tokenUrl = own('TOKEN_URL').value
  const tokenHeader = own('TOKEN_HEADER').value
  const tokenPrefix = own('TOKEN_PREFIX').value
  const allow = own('ALLOW').value
  const secret = own('CLIENT_SECRET')
  if (prefix === null || main === null) return null
  return {
    route: {
      name,
      prefix,
      upstream: upstream ?? main.route.upstream,
      tokenHeader: tokenHeader ?? main.route.tokenHeader,
      tokenPrefix: tokenPrefix ?? main.route.tokenPrefix,
      allow: allow ?? main.route.allow,
    },
    credential: {
      // The secret goes nowhere it was not told to go: a TOKEN_URL that is set holds for other upstreams too.
      tokenUrl: tokenUrl ?? reader.read('TOKEN_URL').value ?? usualTokenUrl(upstream ?? main.route.upstream),
      secret: secret.value ?? main.credential.secret,
      secretFile: secret.value === null ? main.credential.secretFile : secret.file,
    },
  }
}

function usualTokenUrl(upstream: URL): URL {
  return new URL(USUAL_TOKEN_PATH, upstream)
}

/**
 * The credential with this token URL and secret from the same place, added when it is the first. Places whose secrets are equal
 * now may differ when a file changes: their credentials share one token through the store, as two replicas do.
 */
function sharedCredential(credentials: CredentialConfig[], { route, credential }: Draft): CredentialConfig {
  const known = credentials.find(
    ({ tokenUrl, secret, secretFile }) =>
      tokenUrl.href === credential.tokenUrl.href &&
      secretFile === credential.secretFile &&
      secret.equals(credential.secret),
  )
  if (known !== undefined) return known
  const added = { name: route.name, ...credential }
  credentials.push(added)
  return added
}

/** Routes `A` and `A_TOKEN` would both own `ROUTE_A_TOKEN_PREFIX`. */
function noteSharedVariables(names: readonly string[], reader: SettingsReader): void {
  const owners = new Map<string, string>()
  for (const name of names) {
    for (const variable of routeVariables(name)) {
      const owner = owners.get(variable)
      if (owner !== undefined) {
        reader.problem('ROUTES', `must not name both ${owner} and ${name}: ${variable} would belong to both`)
        return
      }
      owners.set(variable, name)
    }
  }
}

function noteSharedPrefixes(names: readonly string[], reader: SettingsReader): void {
  const owners = new Map<string, string>()
  for (const name of names) {
    const variable = routeVariable(name, 'ROUTE_N_PREFIX')
    const prefix = reader.read('ROUTE_N_PREFIX', variable).value
    if (prefix === null) continue
    const owner = owners.get(prefix)
    if (owner !== undefined) reader.problem(variable, `is the same as ${owner}`)
    else owners.set(prefix, variable)
  }
}
