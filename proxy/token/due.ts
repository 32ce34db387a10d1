import { budgetPauseMs, growing, untilMidnightMs } from './pacing.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'
import type { MintReason } from './status.ts'
import { isUsable, refreshAt } from './token.ts'

/** Rule 1: mint only when needed. When the next attempt may start, and what for. */
export interface Due {
  readonly reason: MintReason
  /** Monotonic ms; not in the future = now. `Infinity` cannot happen: at the latest the quota's reset ends a pause. */
  readonly at: number
}

/** Tokens of a second's life, or ones that arrive expired, must not turn renewal into a busy loop. */
const LEAST_GAP_MS = 1_000
const LONGEST_FOREIGN_PAUSE_MS = 5 * 60_000
/** Of a pause of nothing, twice as much is nothing: an endpoint that always rejects would have a token minted for each call. */
const LEAST_REJECTION_PAUSE_MS = 100
const LONGEST_REJECTION_PAUSE_MS = 60 * 60_000
const DRAIN_UNREPLAYABLE_MS = 5_000
/** Beside traffic that is accepted, the next calls tell whether a rejection was the endpoint's doing. */
export const CLEARED_WITHIN_MS = 250

/** The earliest reason to get a newer token; null when the held one will do for ever, or to the end of the process. */
export function nextDue(state: TokenState, at: Instant, policy: TokenPolicy): Due | null {
  let first: Due | null = null
  for (const due of reasons(state, at, policy)) if (first === null || due.at < first.at) first = due
  return first
}

/** Why a newer token is wanted, whether or not a pause stands before it; null when none is. */
export function wanted(state: TokenState, at: Instant, policy: TokenPolicy): MintReason | null {
  if (state.stopping) return null
  if (state.asked) return 'asked'
  if (state.orphan) return 'secret_changed'
  if (state.token === null || !isUsable(state.token, at.now)) return 'missing'
  if (state.unknownSince !== null) return 'unknown_outcome'
  if (isSuspect(state, at)) return 'rejected'
  if (state.scheduled) return 'scheduled'
  const refresh = refreshAt(state.token, policy.refreshLeadMs)
  return refresh !== null && at.now >= refresh ? 'refresh' : null
}

/**
 * Whether the held token may be dead because a call came back rejected. Only an accepted call that was sent after that
 * clears it: then the rejecting endpoint is the problem (rule 4). Of calls under way together nobody knows which was judged
 * first, and the token may have died between the two.
 */
export function isSuspect(state: TokenState, at: Instant): boolean {
  return state.rejectedAt !== null && at.acceptedSentAt <= state.rejectedAt
}

/** Suspect, and no call that was sent after a rejected one has been accepted. */
export function isSurelySuspect(state: TokenState, at: Instant): boolean {
  return state.surelyRejectedAt !== null && at.acceptedSentAt <= state.surelyRejectedAt
}

function reasons(state: TokenState, at: Instant, policy: TokenPolicy): Due[] {
  if (state.stopping) return []
  const quiet = Math.max(state.quietUntil, state.storeRetryAt)
  // A person's wish waits for nothing but the quarantine; 48 requests a day are kept for it.
  const due: Due[] = state.asked ? [{ reason: 'asked', at: quiet }] : []
  const open = Math.max(quiet, automaticFrom(state, at, policy))
  const paced = Math.max(open, state.lastRequestAt + LEAST_GAP_MS)
  if (state.orphan) due.push({ reason: 'secret_changed', at: open })
  const { token } = state
  if (token === null || !isUsable(token, at.now)) {
    due.push({ reason: 'missing', at: paced })
    return due
  }
  if (state.unknownSince !== null) due.push({ reason: 'unknown_outcome', at: open })
  if (isSuspect(state, at)) {
    const sure = isSurelySuspect(state, at)
      ? at.mono
      : Math.max(state.suspectSince, at.acceptedSentAt) + CLEARED_WITHIN_MS
    due.push({ reason: 'rejected', at: Math.max(open, sure, rejectionMintFrom(state, policy)) })
  }
  if (state.scheduled) due.push({ reason: 'scheduled', at: paced })
  const refresh = refreshAt(token, policy.refreshLeadMs)
  if (refresh !== null) {
    const wish = refresh + unreplayableGraceMs(refresh, token.validTill, at)
    due.push({ reason: 'refresh', at: Math.max(paced, at.mono + (wish - at.now)) })
  }
  return due
}

/** Pauses that hold for every automatic attempt. */
function automaticFrom(state: TokenState, at: Instant, policy: TokenPolicy): number {
  const budgetPause = budgetPauseMs(state.requests, policy.mintDailyBudget, at.now)
  const budget =
    budgetPause === Number.POSITIVE_INFINITY
      ? at.mono + untilMidnightMs(at.now)
      : budgetPause === 0
        ? Number.NEGATIVE_INFINITY
        : state.lastRequestAt + budgetPause
  return Math.max(budget, pausedUntil(state, at))
}

function pausedUntil({ pause }: TokenState, at: Instant): number {
  if (pause === null) return Number.NEGATIVE_INFINITY
  return pause.untilEpochMs === null
    ? pause.until
    : Math.min(pause.until, at.mono + (pause.untilEpochMs - at.now))
}

/**
 * When a rejection may cause a mint: at once the first time, then no sooner than `MINT_MIN_INTERVAL`, doubled while fresh
 * tokens keep being rejected (rule 4), and at growing pauses while somebody else mints with the same secret (rule 10).
 */
export function rejectionMintFrom(state: TokenState, policy: TokenPolicy): number {
  const leastMs = Math.max(policy.mintMinIntervalMs, LEAST_REJECTION_PAUSE_MS)
  const streak = growing(state.rejectionStreak, leastMs, Math.max(leastMs, LONGEST_REJECTION_PAUSE_MS))
  const foreign =
    state.foreignStreak === 0 ? 0 : growing(state.foreignStreak, 1_000, LONGEST_FOREIGN_PAUSE_MS)
  return state.rejectionMintAt + Math.max(streak, foreign)
}

/**
 * A planned rotation lets calls that cannot be replayed finish first: seconds at most, and never past half of what is
 * left of the token's life.
 */
function unreplayableGraceMs(refresh: number, validTill: number | null, at: Instant): number {
  if (at.unreplayableInFlight === 0 || validTill === null) return 0
  return Math.min(DRAIN_UNREPLAYABLE_MS, (validTill - refresh) / 2)
}
