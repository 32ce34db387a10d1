import { isSuspect, nextDue, wanted } from './due.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'
import type { CredentialState } from './status.ts'
import { isUsable } from './token.ts'

const ROTATING: ReadonlySet<string> = new Set(['beginning', 'draining', 'minting', 'publishing'])

/** The one word people get for the state of a credential. */
export function credentialState(state: TokenState, at: Instant, policy: TokenPolicy): CredentialState {
  if (ROTATING.has(state.phase.kind) || state.announcedAt !== null) return 'rotating'
  if (state.pause?.why === 'secret_rejected') return 'rejected'
  if (state.token !== null && (state.unknownSince !== null || isSuspect(state, at))) return 'suspect'
  const due = nextDue(state, at, policy)
  const held = state.token !== null && isUsable(state.token, at.now)
  if (wanted(state, at, policy) !== null && due !== null && due.at > at.mono && state.failures > 0)
    return 'backing_off'
  if (!state.storeHealthy && !held) return 'backing_off'
  if (held) return 'fresh'
  return due !== null && due.at > at.mono ? 'backing_off' : 'starting'
}
