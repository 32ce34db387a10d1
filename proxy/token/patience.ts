import { CLEARED_WITHIN_MS, rejectionMintFrom } from './due.ts'
import type { HeldToken } from './source.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'
import type { WaitingCall } from './waiting-calls.ts'

/**
 * Whether the rejection of a replay speaks against the held token: only if a mint may follow while the call waits. Otherwise an
 * endpoint that rejects every token would have each token that was minted for it replaced once more.
 */
export function replayCounts(state: TokenState, mono: number, policy: TokenPolicy): boolean {
  const patienceMs = state.foreignStreak > 0 ? policy.holdTimeoutMs : 0
  return rejectionMintFrom(state, policy) <= mono + patienceMs
}

/** How soon a replacement has to be on its way for a rejected call to wait for it, monotonic ms. */
export function patience(
  { isReplay, deadline }: WaitingCall,
  held: HeldToken,
  { foreignStreak, rejectionStreak }: TokenState,
  at: Instant,
): number {
  // Whether a second token died under the call shows at once, or is likely because others mint.
  if (isReplay && foreignStreak === 0) return Math.min(deadline, at.mono + CLEARED_WITHIN_MS)
  // Two replacements in a row that nothing accepted: no call should wait for a third.
  return held.acceptedSentAt < 0 && rejectionStreak > 1 ? at.mono : deadline
}
