import { CALLER_KEY_HEADER } from '../../proxy/relay/admission.ts'
import type { ForwarderOptions, Route } from '../../proxy/relay/forwarder.ts'
import { rewriteLocation } from '../../proxy/relay/location.ts'
import { createTokenMask, type TokenMask } from '../../proxy/relay/masking.ts'
import type { HeldToken } from '../../proxy/token/source.ts'

/** Fields as Node's parser gives them: name, value, name, value. */
export type RawFields = readonly string[]

/**
 * Fields that concern one connection only (RFC 9110, section 7.6.1, with the historical ones still sent), and those the
 * sidecar states itself for the connection to the upstream: target host, framing, expectations.
 */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'upgrade',
  'http2-settings',
  'proxy-authorization',
  'host',
  'content-length',
  'transfer-encoding',
  'expect',
])

/** The same for answers; framing is stated anew by the listener. */
const NOT_RETURNED: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'upgrade',
  'proxy-authenticate',
  'transfer-encoding',
])

/** Fields with a meaning before the content, so never in a trailer (RFC 9110, section 6.5.1). */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...NOT_FORWARDED,
  ...NOT_RETURNED,
  'trailer',
  'content-encoding',
  'content-type',
  'content-range',
  'authorization',
  'www-authenticate',
  'cookie',
  'set-cookie',
  'cache-control',
  'max-forwards',
  'location',
])

/** Builds the fields of one call to the upstream. */
export interface RequestFields {
  /** The header section, by name as received; several values stay several lines. */
  header(
    received: RawFields,
    route: Route,
    token: HeldToken,
    upgrade: boolean,
  ): Record<string, string | string[]>
  /** The trailers that may follow the body. */
  trailers(received: RawFields): [name: string, value: string][]
}

/**
 * The only place of this engine that adds the token. Strip, then inject: fields named in `Connection` and every spelling of
 * a forbidden name go first, or a caller could have the token removed (golang/go#50580) or send its own.
 */
export function createRequestFields(
  options: Pick<ForwarderOptions, 'forbiddenHeaders' | 'routes'>,
): RequestFields {
  const refused = new Set<string>([...NOT_FORWARDED, CALLER_KEY_HEADER].map(canonical))
  for (const name of options.forbiddenHeaders) refused.add(canonical(name))
  for (const route of options.routes) refused.add(canonical(route.tokenHeader))

  return {
    header(received, route, token, upgrade) {
      const named = namedInConnection(received)
      const fields = new Map<string, { name: string; values: string[] }>()
      eachField(received, (name, value) => {
        const lower = name.toLowerCase()
        if (refused.has(canonical(lower)) || named.has(lower)) return
        const field = fields.get(lower)
        if (field === undefined) fields.set(lower, { name, values: [value] })
        else field.values.push(value)
      })
      const header: Record<string, string | string[]> = {}
      for (const { name, values } of fields.values()) {
        header[name] = values.length === 1 ? (values[0] as string) : values
      }
      header['host'] = route.upstream.host
      const length = firstValue(received, 'content-length')
      if (firstValue(received, 'transfer-encoding') !== null) header['transfer-encoding'] = 'chunked'
      else if (length !== null) header['content-length'] = length
      if (upgrade) {
        header['connection'] = 'Upgrade'
        header['upgrade'] = 'websocket'
      }
      header[route.tokenHeader] = route.tokenPrefix + token.value.reveal()
      return header
    },
    trailers(received) {
      const trailers: [string, string][] = []
      eachField(received, (name, value) => {
        const canonicalName = canonical(name)
        if (!refused.has(canonicalName) && !NOT_IN_TRAILERS.has(canonicalName)) trailers.push([name, value])
      })
      return trailers
    },
  }
}

const masks = new WeakMap<HeldToken, TokenMask>()

/** The mask for a token, made once for each. */
export function maskOf(token: HeldToken): TokenMask {
  let mask = masks.get(token)
  if (mask === undefined) {
    mask = createTokenMask(Buffer.from(token.value.reveal(), 'latin1'))
    masks.set(token, mask)
  }
  return mask
}

/** What an answer's fields depend on. */
export interface AnswerContext {
  readonly status: number
  readonly route: Route
  /** `Host` as the caller sent it. */
  readonly host: string | null
  readonly mask: TokenMask | null
}

/** The header section for the caller, ready for `writeHead`: hop-by-hop fields gone, `Location` rewritten, token masked. */
export function answerFields(received: RawFields, { status, route, host, mask }: AnswerContext): string[] {
  const named = namedInConnection(received)
  const fields: string[] = []
  eachField(received, (name, value) => {
    const lower = name.toLowerCase()
    if (NOT_RETURNED.has(lower) || named.has(lower)) return
    // RFC 9110, section 8.6: a 204 has none, and a caller that believed it would wait for a body.
    if (lower === 'content-length' && status === 204) return
    const seen = lower === 'location' ? rewriteLocation(value, route, host) : value
    fields.push(name, mask === null ? seen : mask.head(seen))
  })
  return fields
}

/** The trailers of an answer that may be passed on. */
export function answerTrailers(received: RawFields, mask: TokenMask | null): [name: string, value: string][] {
  const trailers: [string, string][] = []
  eachField(received, (name, value) => {
    if (!NOT_IN_TRAILERS.has(name.toLowerCase()))
      trailers.push([name, mask === null ? value : mask.head(value)])
  })
  return trailers
}

/** All values of a field joined with `, ` (RFC 9110, section 5.3); null when it is absent. `name` in lower case. */
export function joinedValue(fields: RawFields, name: string): string | null {
  let joined: string | null = null
  eachField(fields, (candidate, value) => {
    if (candidate.toLowerCase() === name) joined = joined === null ? value : `${joined}, ${value}`
  })
  return joined
}

/** How many lines bear the name, which is in lower case. */
export function countOf(fields: RawFields, name: string): number {
  let count = 0
  eachField(fields, (candidate) => {
    if (candidate.toLowerCase() === name) count++
  })
  return count
}

function firstValue(fields: RawFields, name: string): string | null {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() === name) return fields[at + 1] ?? null
  }
  return null
}

/** Names nominated as hop-by-hop by any `Connection` line; an empty line shields none (CVE-2021-33197). */
function namedInConnection(fields: RawFields): ReadonlySet<string> {
  const named = new Set<string>()
  eachField(fields, (name, value) => {
    const lower = name.toLowerCase()
    if (lower !== 'connection' && lower !== 'proxy-connection') return
    for (const token of value.split(',')) named.add(token.trim().toLowerCase())
  })
  return named
}

/** Servers that hand fields to CGI-like interfaces take `_` and `.` for `-`, so such names are judged as if they had it. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/[_.]/g, '-')
}

function eachField(fields: RawFields, visit: (name: string, value: string) => void): void {
  for (let at = 0; at + 1 < fields.length; at += 2) visit(fields[at] as string, fields[at + 1] as string)
}
