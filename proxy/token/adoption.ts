import type { Action, Instant, TokenState } from './state.ts'
import type { DailyRequests, StoredState } from './store.ts'
import { isUsable, type Token } from './token.ts'

/** Takes over what the store holds: a newer token, the day's requests, another replica's announcement (rule 2). */
export function adopt(state: TokenState, stored: StoredState, at: Instant, actions: Action[]): TokenState {
  const known: TokenState = {
    ...state,
    topGeneration: Math.max(state.topGeneration, stored.token?.generation ?? 0),
    requests: laterCount(state.requests, stored.requests),
    announcedAt: stored.rotating ? (state.announcedAt ?? at.mono) : null,
  }
  if (stored.token !== null && replaces(stored.token, known, at)) {
    actions.push({ do: 'tally', outcome: 'adopted' })
    actions.push({ do: 'tell', level: 'info', event: 'token_adopted', fields: tokenFields(stored.token) })
    return withToken(known, stored.token)
  }
  const behind = (stored.token?.generation ?? 0) < (known.token?.generation ?? 0)
  if (behind && !known.orphan && known.offerAt === null) {
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
    unknownSince: null,
    announcedAt: null,
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

function replaces(stored: Token, state: TokenState, at: Instant): boolean {
  if (state.token === null) return true
  if (state.orphan) return isUsable(stored, at.now)
  if (stored.generation !== state.token.generation) return stored.generation > state.token.generation
  // Two mints got one number (a write was lost in between): what the fleet agrees on is what the store says.
  return stored.value.fingerprint() !== state.token.value.fingerprint()
}

function laterCount(ours: DailyRequests, stored: DailyRequests): DailyRequests {
  if (ours.day !== stored.day) return ours.day > stored.day ? ours : stored
  return ours.count > stored.count ? ours : stored
}
