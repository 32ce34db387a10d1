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
  #maskedToken: HeldToken | null = null
  #token: Buffer = Buffer.alloc(0)
  #mask: TokenMask | null = null

  constructor(route: Route, pool: UpstreamPool, counters: RouteCounters) {
    this.route = route
    this.pool = pool
    this.counters = counters
    this.hostLine = `Host: ${route.upstream.host}\r\n`
    this.credential = new CredentialLine(route)
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
}
