import type { HeldToken } from '../token/source.ts'

/** The token a call was sent with, and the evidence the call brings back about it. */
export class CarriedToken {
  #token: HeldToken | null = null
  #isUnreplayable = false
  /** Monotonic ms. */
  sentAt = 0

  /** The token under way; there is one between `take` and `release`. */
  get token(): HeldToken {
    return this.#token as HeldToken
  }

  take(token: HeldToken, sentAt: number, isReplayable: boolean): void {
    this.#token = token
    this.sentAt = sentAt
    token.inFlight++
    if (!isReplayable) this.becomeUnreplayable()
  }

  /** The call's body is kept no longer. */
  becomeUnreplayable(): void {
    if (this.#token === null || this.#isUnreplayable) return
    this.#isUnreplayable = true
    this.#token.unreplayableInFlight++
  }

  /**
   * The upstream answered with a status that is no rejection. Returns whether that proves the token good: a gateway's own
   * answer (502 to 504) comes from in front of whatever looks at tokens.
   */
  accept(status: number): boolean {
    if (status >= 502 && status <= 504) return false
    if (this.sentAt > this.token.acceptedSentAt) this.token.acceptedSentAt = this.sentAt
    return true
  }

  release(): void {
    const token = this.#token
    if (token === null) return
    this.#token = null
    token.inFlight--
    if (!this.#isUnreplayable) return
    this.#isUnreplayable = false
    token.unreplayableInFlight--
  }
}
