import type { ClockReading, Instant, TokenPolicy, TokenState } from './state.ts'

/** Room for publishing, within the lease: lease = mint deadline + quarantine + this. */
const PUBLISH_MS = 1_000

/** How long the right to mint is asked for: longer than anything sent under it can take effect (see `MintLease`). */
export function leaseMs(policy: TokenPolicy): number {
  return policy.mintTimeoutMs + policy.mintQuarantineMs + PUBLISH_MS
}

/**
 * How long ago `moment` was, by the clock that saw more: the monotonic one may stand still while the machine sleeps, the
 * wall clock may be set back. To be taken for longer than it was is harmless to a lease; the opposite is not.
 */
export function elapsedMs(moment: ClockReading, at: Instant): number {
  return Math.max(at.mono - moment.mono, at.now - moment.now)
}

/**
 * Whether another process is rotating. Its announcement ends with its lease; by our own clock too, since a store that
 * cannot be reached does not tell of the end.
 */
export function isAnnounced(state: TokenState, at: Instant, policy: TokenPolicy): boolean {
  return state.announcedAt !== null && at.mono - state.announcedAt < leaseMs(policy)
}
