import { isSurelySuspect, isSuspect, nextDue } from './due.ts'
import { isAnnounced } from './lease-time.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'
import { isUsable, refreshAt } from './token.ts'

/**
 * Until when calls have to wait, monotonic ms (rules 5 and 6). `-Infinity`: nobody waits; `Infinity`: until there is a
 * newer token, each call bounded by its own `HOLD_TIMEOUT`.
 */
export interface Holds {
  readonly replayable: number
  readonly unreplayable: number
}

const NOBODY: Holds = { replayable: Number.NEGATIVE_INFINITY, unreplayable: Number.NEGATIVE_INFINITY }
const EVERYBODY: Holds = { replayable: Number.POSITIVE_INFINITY, unreplayable: Number.POSITIVE_INFINITY }
const IMMINENT_MS = 1_000
const CLEARED_POLL_MS = 20

/** Hold, don't fail, while a rotation is under way; but hold no longer than it helps. */
export function holds(state: TokenState, at: Instant, policy: TokenPolicy): Holds {
  if (state.token === null || !isUsable(state.token, at.now)) return EVERYBODY
  const since = rotatingSince(state, at, policy)
  if (state.unknownSince !== null) {
    // The old token may well live: go on with it, a rejection will tell. Only calls that could not be repeated then wait,
    // and once, not for as long as the token API is out of order.
    return { ...NOBODY, unreplayable: state.unknownSince + policy.holdTimeoutMs }
  }
  if (since === null) return NOBODY
  return { replayable: since + policy.rotationHoldMs, unreplayable: Number.POSITIVE_INFINITY }
}

/**
 * From when, monotonic ms, a rotation is so near that a call which could not be replayed should be sent after it; null
 * when none is coming or none can be expected to succeed soon.
 */
export function imminentFrom(state: TokenState, at: Instant, policy: TokenPolicy): number | null {
  if (state.token === null || state.unknownSince !== null || !state.storeHealthy) return null
  const due = nextDue(state, at, policy)
  if (due === null) return null
  const refresh = refreshAt(state.token, policy.refreshLeadMs)
  const lead = refresh === null ? IMMINENT_MS : (state.token.validTill ?? refresh) - refresh
  return due.at - Math.min(IMMINENT_MS, lead)
}

/** When time alone lets calls go that wait, monotonic ms. */
export function holdsChangeAt(state: TokenState, { replayable, unreplayable }: Holds, at: Instant): number {
  const { token } = state
  const times = [replayable, unreplayable].filter((until) => until > at.mono)
  // Calls that are accepted clear a token without an event: the data plane writes a number.
  if (isSuspect(state, at)) times.push(at.mono + CLEARED_POLL_MS)
  if (token !== null && token.validTill !== null && token.validTill > at.now)
    times.push(at.mono + (token.validTill - at.now))
  return Math.min(...times)
}

/** Since when the held token may be dying or dead while a replacement is on its way; null when none is. */
function rotatingSince(state: TokenState, at: Instant, policy: TokenPolicy): number | null {
  const { phase } = state
  const sending = phase.kind === 'beginning' || phase.kind === 'draining' || phase.kind === 'minting'
  // The old secret's token outlives what the new one mints.
  if (sending && !state.orphan) return phase.since
  if (isAnnounced(state, at, policy)) return state.announcedAt
  if (isSuspect(state, at)) {
    const due = nextDue(state, at, policy)
    const asking = phase.kind !== 'idle' && isSurelySuspect(state, at)
    if (asking || (due !== null && due.at <= at.mono)) return state.suspectSince
  }
  return null
}
