import type { Secret } from '../lib/secret.ts'

/** An access token of the token API. Opaque; at most 256 characters. */
export interface Token {
  readonly value: Secret
  /** Epoch ms on this process's clock (see `TokenMinter`); null = never expires. */
  readonly validTill: number | null
  /** Epoch ms on this process's clock. */
  readonly mintedAt: number
  /**
   * Counts the mints of one secret across restarts and replicas. It names a token without revealing it, decides who is
   * stale after a rejection, and is the condition of every compare-and-set.
   */
  readonly generation: number
}

/** Whether the token may be put on a call at `now` (epoch ms). An expired token never is. */
export function isUsable(token: Token, now: number): boolean {
  return token.validTill === null || now < token.validTill
}

const DEFAULT_LEAD_MS = 5 * 60_000

/**
 * When the token should be replaced, epoch ms; null = never. `leadMs` null stands for the default, the smaller of five
 * minutes and a tenth of the token's life; a set value is capped at half the life, or a short-lived token would be
 * replaced (and so revoked) as soon as it was minted.
 */
export function refreshAt(token: Token, leadMs: number | null): number | null {
  if (token.validTill === null) return null
  const life = Math.max(0, token.validTill - token.mintedAt)
  const lead = leadMs === null ? Math.min(DEFAULT_LEAD_MS, life / 10) : Math.min(leadMs, life / 2)
  return token.validTill - lead
}
