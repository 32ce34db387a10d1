import { isSuspect, nextDue, wanted } from './due.ts'
import { lackCode } from './lack.ts'
import { isAnnounced } from './lease-time.ts'
import type { MintRecord } from './mint-record.ts'
import { requestsToday } from './pacing.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'
import type { CredentialState, CredentialStatus } from './status.ts'
import { isUsable, refreshAt } from './token.ts'

/** Once the new token is in use, storing it concerns nobody but the store. */
const ROTATING: ReadonlySet<string> = new Set(['beginning', 'draining', 'minting'])

/** What people see of a credential, but for its name and the kind of its store. */
export function credentialStatus(
  state: TokenState,
  at: Instant,
  policy: TokenPolicy,
  record: MintRecord,
): Omit<CredentialStatus, 'name' | 'store'> & { readonly store: Omit<CredentialStatus['store'], 'kind'> } {
  const { token, requests, lastError, storeHealthy } = state
  const usable = token !== null && isUsable(token, at.now)
  return {
    state: credentialState(state, at, policy),
    usable,
    lack: usable ? null : lackCode(state, at, policy),
    generation: token?.generation ?? 0,
    fingerprint: token?.value.fingerprint() ?? null,
    mintedAt: token?.mintedAt ?? null,
    validTill: token?.validTill ?? null,
    nextRefreshAt: token === null ? null : refreshAt(token, policy.refreshLeadMs),
    lastError,
    mints: {
      ...record.snapshot(),
      today: requestsToday(requests, at.now),
      budget: policy.mintDailyBudget,
    },
    foreignMints: record.foreign,
    store: { healthy: storeHealthy, errors: record.storeErrors },
  }
}

/** The one word people get for the state of a credential. */
function credentialState(state: TokenState, at: Instant, policy: TokenPolicy): CredentialState {
  if (ROTATING.has(state.phase.kind) || isAnnounced(state, at, policy)) return 'rotating'
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
