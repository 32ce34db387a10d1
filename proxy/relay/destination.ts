import type { HeldToken } from '../token/source.ts'
import type { RouteCounters } from './counters.ts'
import type { Route } from './forwarder.ts'
import { createTokenMask, type TokenMask } from './masking.ts'
import { CredentialLine, tokenBytes } from './request-head.ts'
import type { UpstreamPool } from './upstream-pool.ts'

/** One route with everything its calls need, made once. */
export class Destination {
  readonly route: Route
  readonly pool: UpstreamPool
  readonly counters: RouteCounters
  readonly hostLine: string
  readonly credential: CredentialLine
  readonly #basePath: string
  #maskedToken: HeldToken | null = null
  #token: Buffer = Buffer.alloc(0)
  #mask: TokenMask | null = null

  constructor(route: Route, pool: UpstreamPool, counters: RouteCounters) {
    this.route = route
    this.pool = pool
    this.counters = counters
    this.hostLine = `Host: ${route.upstream.host}\r\n`
    this.credential = new CredentialLine(route)
    this.#basePath = route.upstream.pathname.replace(/\/+$/, '')
  }

  /** What hides the token in heads. */
  headMask(token: HeldToken): TokenMask {
    if (this.#mask === null || this.#maskedToken !== token) {
      this.#token = tokenBytes(token)
      this.#mask = createTokenMask(this.#token)
      this.#maskedToken = token
    }
    return this.#mask
  }

  /** The bytes to hide in bodies. */
  maskedBytes(token: HeldToken): Buffer {
    this.headMask(token)
    return this.#token
  }

  /**
   * A Location as the caller can follow it through the sidecar: with the sidecar's authority (`host`, as the caller wrote it)
   * and the route's prefix where the upstream's own stood. Anything that points elsewhere stays as it is.
   */
  rewriteLocation(value: string, host: string | null): string {
    const { route } = this
    const authority = /^(?:https?:)?\/\/[^/?#\\]*/i.exec(value)?.[0]
    if (authority === undefined) {
      if (!value.startsWith('/') || (route.prefix === '' && this.#basePath === '')) return value
      return this.#underPrefix(value) ?? value
    }
    if (host === null || !URL.canParse(authority, route.upstream.href)) return value
    const url = new URL(authority, route.upstream)
    if (url.origin !== route.upstream.origin || url.username !== '' || url.password !== '') return value
    const rest = value.slice(authority.length)
    const path = this.#underPrefix(rest.startsWith('/') ? rest : `/${rest}`)
    return path === null ? value : `http://${host}${path}`
  }

  #underPrefix(target: string): string | null {
    if (!target.startsWith(this.#basePath)) return null
    const rest = target.slice(this.#basePath.length)
    if (rest !== '' && !/^[/?#]/.test(rest)) return null
    const prefix = this.route.prefix.replace(/\/+$/, '')
    return `${prefix}${rest}` || '/'
  }
}
