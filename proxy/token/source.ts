import type { Token } from './token.ts'

/**
 * The token as calls carry it, with what they bring back. The fields are plain numbers because the data plane writes
 * them on its hot path; there is one `HeldToken` for each generation, so a late answer counts for the token it was sent with.
 */
export interface HeldToken extends Token {
  /** Monotonic ms at which the latest call that was accepted with this token was sent; -1 before the first. */
  acceptedSentAt: number
  /** Calls under way with this token. */
  inFlight: number
  /** Of these, the ones whose body was not kept: a planned rotation lets them finish first, within bounds. */
  unreplayableInFlight: number
}

/** What a waiting call says about itself. */
export interface Waiting {
  /** Whether the call can be sent again after a rejection. One that cannot waits longer for certainty. */
  readonly replayable: boolean
  /** Whether the rejected sending was a replay already. It then waits long only where others are known to mint. */
  readonly isReplay?: boolean
  /** Aborts when the caller leaves. Ends only this caller's wait, never the mint it waits for. */
  readonly signal: AbortSignal
}

/** What the data plane may ask about the token of one credential. */
export interface TokenSource {
  /**
   * The token a call may leave with at once, or null when it has to `current()`: a mint is under way, or no usable token
   * is held. Synchronous and free of allocation. Never returns an expired token.
   */
  peek(replayable: boolean): HeldToken | null
  /**
   * Waits for a token: up to `ROTATION_HOLD` while the old one may still live (then resolves to that), up to
   * `HOLD_TIMEOUT` otherwise. Rejects with `ProblemError` `token_unavailable`, `secret_rejected`, `mint_budget_exhausted`
   * or `shutting_down`, or with the signal's reason.
   */
  current(waiting: Waiting): Promise<HeldToken>
  /**
   * A call sent at `sentAt` (monotonic ms) with `rejected` was answered with a rejecting status. Resolves to the token to
   * send it again with, or to null when the rejection is not the token's fault, or no replacement can be had in time:
   * then the upstream's own answer goes to the caller. Also to be called, and its result ignored, for calls that cannot be replayed.
   */
  replace(rejected: HeldToken, sentAt: number, waiting: Waiting): Promise<HeldToken | null>
  /** A call that was sent again after `replace()` was accepted: proof that the replaced token had been dead. */
  replayAccepted(replaced: HeldToken): void
}
