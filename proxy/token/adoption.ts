import { isSuspect } from './due.ts'
import { requestsToday } from './pacing.ts'
import { replacedForRejection } from './rejections.ts'
import type { Action, Instant, TokenPolicy, TokenState } from './state.ts'
import type { DailyRequests, StoredState } from './store.ts'
import { isUsable, refreshAt, type Token } from './token.ts'

/** Takes over what the store holds: a newer token, the day's requests, another replica's announcement (rule 2). */
export function adopt(
  state: TokenState,
  stored: StoredState,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  const known: TokenState = {
    ...counted(state, stored.requests, at),
    topGeneration: Math.max(state.topGeneration, stored.token?.generation ?? 0),
    announcedAt: stored.rotating ? (state.announcedAt ?? at.mono) : null,
    disturbed: state.disturbed || stored.rotating,
  }
  const { token } = stored
  if (token !== null && known.token !== null && isSame(token, known.token)) {
    // The store may have given it another number: what the fleet agrees on is what the store says.
    return { ...known, orphan: false, token: { ...known.token, generation: token.generation } }
  }
  if (token !== null && replaces(token, known, at)) {
    actions.push({ do: 'tally', outcome: 'adopted' })
    actions.push({ do: 'tell', level: 'info', event: 'token_adopted', fields: tokenFields(token) })
    return adopted(known, token, stored.rotating, at, policy)
  }
  const behind = (token?.generation ?? 0) < (known.token?.generation ?? 0)
  if (behind && !known.orphan && known.offerAt === null && !known.offering) {
    // The store lost a write (failover, flush, restored backup). The highest generation wins: give it back.
    actions.push({
      do: 'tell',
      level: 'warn',
      event: 'store_behind',
      fields: { generation: known.token?.generation },
    })
    return { ...known, offerAt: at.mono }
  }
  return known
}

/** The state once `token` is the one to use: every wish for a newer one is fulfilled, every suspicion is about the past. */
export function withToken(state: TokenState, token: Token): TokenState {
  return {
    ...state,
    token,
    orphan: false,
    topGeneration: Math.max(state.topGeneration, token.generation),
    asked: false,
    scheduled: false,
    rejectedAt: null,
    surelyRejectedAt: null,
    readWanted: false,
    unknownSince: null,
    announcedAt: null,
    disturbed: false,
    pause: null,
    failures: 0,
    secretRejections: 0,
    offerAt: null,
  }
}

/** What logs say of a token. */
export function tokenFields(token: Token): Record<string, unknown> {
  return {
    generation: token.generation,
    fingerprint: token.value.fingerprint(),
    valid_till: token.validTill === null ? null : new Date(token.validTill).toISOString(),
  }
}

function adopted(
  state: TokenState,
  token: Token,
  rotating: boolean,
  at: Instant,
  policy: TokenPolicy,
): TokenState {
  // An announcement that outlasts the publishing is the next one: this token is about to die as well.
  const taken: TokenState = {
    ...withToken(state, token),
    announcedAt: rotating ? at.mono : null,
    disturbed: rotating,
    ...pacedByOthers(state, at, policy),
  }
  if (isUsable(token, at.now)) return taken
  // It fulfils no wish. Processes that go by each other's expired tokens would mint in turns, without a pause.
  const { pause, failures, secretRejections, asked, scheduled } = state
  return { ...taken, pause, failures, secretRejections, asked, scheduled }
}

/**
 * MINT_MIN_INTERVAL is meant for the fleet: N replicas that talk to one rejecting endpoint must not take turns. So a
 * suspect token that another process replaced counts as replaced for its rejections, and one that it replaced before its
 * time puts off a replacement of ours, though it proves nothing about rejections.
 */
function pacedByOthers(state: TokenState, at: Instant, policy: TokenPolicy): Partial<TokenState> {
  const { token } = state
  if (token === null || state.orphan || !isUsable(token, at.now)) return {}
  if (isSuspect(state, at)) return replacedForRejection(state, token.generation, false, at)
  const refresh = refreshAt(token, policy.refreshLeadMs)
  return refresh === null || at.now < refresh ? { rejectionMintAt: at.mono } : {}
}

function isSame(stored: Token, held: Token): boolean {
  return stored.generation >= held.generation && stored.value.fingerprint() === held.value.fingerprint()
}

function replaces(stored: Token, state: TokenState, at: Instant): boolean {
  if (state.token === null) return true
  if (state.orphan) return isUsable(stored, at.now)
  // Two mints may get one number (a write was lost in between); that they differ has been seen before.
  return stored.generation >= state.token.generation
}

/** The day's requests, and that one was sent just now if another process's has come to light. */
function counted(state: TokenState, stored: DailyRequests, at: Instant): TokenState {
  const { requests } = state
  if (requestsToday(stored, at.now) < requestsToday(requests, at.now)) return state
  const isNew = requests.day !== '' && requestsToday(stored, at.now) > requestsToday(requests, at.now)
  return { ...state, requests: stored, lastRequestAt: isNew ? at.mono : state.lastRequestAt }
}
