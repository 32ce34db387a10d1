import type { ProblemCode } from '../lib/errors.ts'
import type { ForwarderOptions, Route } from './forwarder.ts'
import {
  climbs,
  createAllowList,
  fullyDecoded,
  hasDotSegment,
  hasOverlongForm,
  hidesSeparator,
  isOriginForm,
  isPlainTarget,
  normalForm,
  pathOf,
} from './path.ts'

/** What the checks need of a call's head; values as received. A field sent several times is joined with `, `. */
export interface CallHead {
  readonly method: string
  readonly target: string
  readonly host: string | null
  readonly hostCount: number
  readonly origin: string | null
  readonly secFetchSite: string | null
  readonly callerKey: string | null
  /** A field came along by which some servers take another method or path than the request line's. */
  readonly overrides?: boolean
  /** HTTP/1.0 may leave `Host` out. No browser speaks it, so nothing of the rebinding check is lost. */
  readonly http10?: boolean
}

export interface Admitted {
  readonly route: Route
  /** Origin-form for the upstream: byte-exact apart from the prefix removed and the base path added. */
  readonly target: string
}

/** Decides whether a call is forwarded, and where; the same for every engine, plain calls and upgrades alike. */
export type Admission = (head: CallHead) => Admitted | ProblemCode

/** Field that carries the caller key. */
export const CALLER_KEY_HEADER = 'x-sidecar-key'

/** The token API's usual path: refused even when `TOKEN_URL` names another one. */
const USUAL_TOKEN_PATH = '/integration/v1/authz/token'

/**
 * The checks of a call's head, cheapest refusals of strangers first: CONNECT, Host, browser, caller key, method, target, route,
 * token path, allow list. `TRACE` is refused as forbidden, because its answer would show the token to the caller;
 * `CONNECT` and targets that are not a path are invalid.
 */
export function createAdmission(
  options: Pick<ForwarderOptions, 'routes' | 'tokenPaths' | 'allowedHosts' | 'callerKeys'>,
): Admission {
  const isAllowedHost = createHostCheck(options.allowedHosts)
  const isTokenPath = createTokenPathCheck(options.tokenPaths)
  const places = options.routes
    .map(createPlace)
    .sort((left, right) => right.prefix.length - left.prefix.length)
  const keys = options.callerKeys

  return (head) => {
    // First, since invalid ends the connection: what follows a CONNECT is for a tunnel, whoever asked for one.
    if (head.method === 'CONNECT') return 'request_invalid'
    const stranger = judgeCaller(head)
    if (stranger !== null) return stranger
    if (head.method === 'TRACE') return 'request_forbidden'
    const { target } = head
    const plain = isPlainTarget(target)
    if (!plain && (!isOriginForm(target) || hasDotSegment(pathOf(target)))) return 'request_invalid'
    const place = places.find(({ prefix }) => isUnder(target, prefix))
    if (place === undefined) return 'route_not_found'
    const upstreamTarget = place.translate(target)
    // What an allow list says of the request line would say nothing of what such a server does.
    if (place.isAllowed !== null && head.overrides === true) return 'request_forbidden'
    const refusal = judgePath(head.method, pathOf(upstreamTarget), place, plain)
    return refusal ?? { route: place.route, target: upstreamTarget }
  }

  function judgeCaller(head: CallHead): ProblemCode | null {
    if (head.hostCount > 1) return 'request_invalid'
    if (head.host === null) {
      if (head.http10 !== true) return 'request_invalid'
    } else {
      const verdict = isAllowedHost(head.host)
      if (verdict !== 'allowed') return verdict === 'malformed' ? 'request_invalid' : 'request_forbidden'
    }
    if (head.origin !== null && !isAllowedOrigin(head.origin)) return 'request_forbidden'
    const site = head.secFetchSite
    if (site !== null && site !== 'same-origin' && site !== 'none') return 'request_forbidden'
    if (keys !== null) {
      const given = head.callerKey
      if (given === null) return 'request_forbidden'
      // Every key is compared, so that the time taken does not tell which of two was meant.
      let known = false
      for (const key of keys) known = key.matches(given) || known
      if (!known) return 'request_forbidden'
    }
    return null
  }

  function isAllowedOrigin(origin: string): boolean {
    const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/]+)$/i.exec(origin)?.[1]
    return authority !== undefined && isAllowedHost(authority) === 'allowed'
  }

  /** `path` is the one the upstream will see; the base path in it is configuration and beyond suspicion. */
  function judgePath(method: string, path: string, place: Place, plain: boolean): ProblemCode | null {
    if (plain) {
      if (isTokenPath.mayBe(path) && isTokenPath.is(place.base, path.slice(place.base.length))) {
        return 'request_forbidden'
      }
    } else {
      const raw = path.slice(place.base.length)
      const rest = fullyDecoded(raw)
      if (rest === null || hasOverlongForm(rest)) return 'request_invalid'
      if (isTokenPath.is(place.base, rest)) return 'request_forbidden'
      // Without a prefix, base path or allow list there is nothing to climb out of: the upstream judges its own paths.
      if (place.isConfined && climbs(rest)) return 'request_invalid'
      if (place.isAllowed !== null && hidesSeparator(raw, rest)) return 'request_forbidden'
    }
    return place.isAllowed === null || place.isAllowed(method, path) ? null : 'request_forbidden'
  }
}

interface Place {
  readonly route: Route
  /** Without a slash at the end; empty for `/`. */
  readonly prefix: string
  /** Path of the upstream URL without a slash at the end; empty for `/`. */
  readonly base: string
  readonly isConfined: boolean
  readonly isAllowed: ((method: string, path: string) => boolean) | null
  translate(target: string): string
}

function createPlace(route: Route): Place {
  const prefix = route.prefix.replace(/\/+$/, '')
  const base = route.upstream.pathname.replace(/\/+$/, '')
  return {
    route,
    prefix,
    base,
    isConfined: prefix !== '' || base !== '' || route.allow !== null,
    isAllowed: route.allow === null ? null : createAllowList(route.allow),
    translate(target) {
      const rest = prefix === '' ? target : target.slice(prefix.length)
      if (rest.startsWith('/')) return base === '' ? rest : base + rest
      return `${base}/${rest}`
    },
  }
}

/** Whether the target is the prefix itself or below it, by whole segments and raw bytes. */
function isUnder(target: string, prefix: string): boolean {
  if (!target.startsWith(prefix)) return false
  const next = target.charCodeAt(prefix.length)
  return Number.isNaN(next) || next === 0x2f || next === 0x3f
}

type HostVerdict = 'allowed' | 'unknown' | 'malformed'

function createHostCheck(allowedHosts: readonly string[]): (host: string) => HostVerdict {
  const names = new Set(allowedHosts.map((host) => canonicalName(host.replace(/^(?!\[)(.*:.*)$/, '[$1]'))))
  // Callers of one sidecar all send the same Host; remembering one value spares them the parsing.
  let lastAllowed: string | null = null
  return (host) => {
    if (host === lastAllowed) return 'allowed'
    const name = /^([\w.-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i.exec(host)?.[1]
    if (name === undefined) return 'malformed'
    const canonical = canonicalName(name)
    if (canonical === null) return 'malformed'
    if (!names.has(canonical)) return 'unknown'
    lastAllowed = host
    return 'allowed'
  }
}

/** Lower case, no dot at the end, IPv6 in its shortest spelling; null when what is in brackets is no address. */
function canonicalName(name: string): string | null {
  if (!name.startsWith('[')) return name.toLowerCase().replace(/\.$/, '')
  return URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : null
}

interface TokenPathCheck {
  /** Cheap and never wrong when it says no, for plain paths. */
  mayBe(path: string): boolean
  /** Whether a fully decoded path is a token path, alone or below the upstream's base path. */
  is(base: string, decoded: string): boolean
}

function createTokenPathCheck(tokenPaths: readonly string[]): TokenPathCheck {
  const forms = [...tokenPaths, USUAL_TOKEN_PATH].map((path) =>
    normalForm(fullyDecoded(pathOf(path)) ?? path),
  )
  const lastNames = forms.map((form) => form.slice(form.lastIndexOf('/') + 1).replace(/[^\w-]/g, '\\$&'))
  const ending = new RegExp(`/(?:${lastNames.join('|')})(?:\\.[^/]*)?/?$`, 'i')
  return {
    mayBe: (path) => ending.test(path),
    is(base, decoded) {
      return isForm(normalForm(decoded)) || (base !== '' && isForm(normalForm(base + decoded)))
    },
  }

  function isForm(form: string): boolean {
    // Frameworks that map by suffix (Spring before 5.3) take /token.json for /token.
    return forms.some((token) => form === token || form.startsWith(`${token}.`))
  }
}
