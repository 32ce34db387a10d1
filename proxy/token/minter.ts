import type { MintErrorCode } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'

/** A token as the token API gave it; the manager adds the generation. */
export interface MintedToken {
  readonly value: Secret
  /** Epoch ms on this process's clock: corrected by the answer's `Date` field when the two clocks disagree. */
  readonly validTill: number | null
  /** Epoch ms on this process's clock at which the answer arrived. */
  readonly mintedAt: number
}

/**
 * How one request to the token API ended.
 * - `minted`: every earlier token of the secret is now revoked.
 * - `refused`: nothing was processed and the earlier token still lives: connection refused, TLS failure, 3xx, 4xx.
 * - `unknown`: it may have taken effect or may still do so: timeout, reset after the request was written, 5xx, garbage.
 */
export type MintOutcome =
  | { readonly kind: 'minted'; readonly token: MintedToken }
  | {
      readonly kind: 'refused'
      readonly reason: 'secret_rejected' | 'quota_exhausted' | 'unreachable'
      readonly error: MintFailure
    }
  | { readonly kind: 'unknown'; readonly error: MintFailure }

/** What may be told of a failed mint: never the answer's body. */
export interface MintFailure {
  readonly code: MintErrorCode
  readonly status?: number
  /** The token API's own error id, which its support asks for. */
  readonly errorId?: string
  /** System error code such as ECONNREFUSED. */
  readonly cause?: string
  /** Which the connection left from: behind a NAT the token API sees another one. */
  readonly localAddress?: string
}

/** Asks the token API for a token. */
export interface TokenMinter {
  /** A request is about to be sent: whatever can be got ready before it, so that its deadline and the callers' wait are not spent on it. */
  warm?(): void
  /**
   * Sends exactly one request, never repeated by anything below: a mint is not idempotent. Always resolves; a deadline or
   * an abort of `signal` after the request was written is an `unknown` outcome.
   */
  mint(signal: AbortSignal): Promise<MintOutcome>
}
