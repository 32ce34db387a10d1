import type { IncomingHttpHeaders } from 'node:http'
import type { Issuer } from './issuer.ts'

/** Why a business call was rejected; `forced`: a fault refuses every token. */
export type Rejection = 'missing' | 'unknown' | 'revoked' | 'expired' | 'forced'

export interface BusinessCounters {
  accepted: number
  readonly rejected: Record<Rejection, number>
  /** Calls that carried a client secret, which must never leave for a business API. */
  withSecret: number
}

/** Who may pass: judges the token of a business call and keeps count. */
export class Gate {
  readonly #issuer: Issuer
  counters: BusinessCounters = zero()

  constructor(issuer: Issuer) {
    this.#issuer = issuer
  }

  /** Judges at this instant; null = accepted. */
  judge(token: string, forced: boolean): Rejection | null {
    const rejection = forced ? 'forced' : this.#rejectionOf(token)
    if (rejection === null) this.counters.accepted += 1
    else this.counters.rejected[rejection] += 1
    return rejection
  }

  /** Counts a call that carries the client secret. */
  noteSecret(headers: IncomingHttpHeaders): void {
    if (headers['x-clear-client-secret'] !== undefined) this.counters.withSecret += 1
  }

  resetCounters(): void {
    this.counters = zero()
  }

  #rejectionOf(token: string): Rejection | null {
    if (token === '') return 'missing'
    const state = this.#issuer.stateOf(token)
    return state === 'live' ? null : state
  }
}

/** The token a call carries, from the first of `names` that is there, else from `Authorization: Bearer`; else empty. */
export function tokenOf(headers: IncomingHttpHeaders, names: readonly string[]): string {
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string') return value
  }
  const { authorization } = headers
  return authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : ''
}

function zero(): BusinessCounters {
  return {
    accepted: 0,
    rejected: { missing: 0, unknown: 0, revoked: 0, expired: 0, forced: 0 },
    withSecret: 0,
  }
}
