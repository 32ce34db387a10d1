import type { ProblemCode } from '../lib/errors.ts'
import { nextDue } from './due.ts'
import { isAnnounced } from './lease-time.ts'
import { budgetPauseMs } from './pacing.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'
import { wantedReadAt } from './wake.ts'

/** Why no usable token is held, as the caller is told. */
export function lackCode(state: TokenState, at: Instant, policy: TokenPolicy): ProblemCode {
  if (state.pause?.why === 'secret_rejected') return 'secret_rejected'
  if (state.pause?.why === 'quota') return 'mint_budget_exhausted'
  const pauseMs = budgetPauseMs(state.requests, policy.mintDailyBudget, at.now)
  const isSpent = pauseMs === Number.POSITIVE_INFINITY
  // What is left is being spread over the day. Where attempts fail, their error says more.
  const isSpread = state.failures === 0 && state.lastRequestAt + pauseMs > at.mono
  return isSpent || isSpread ? 'mint_budget_exhausted' : 'token_unavailable'
}

/** Whether waiting until `deadline` (monotonic ms) cannot bring a token, as far as this process decides it. */
export function isHopeless(state: TokenState, at: Instant, policy: TokenPolicy, deadline: number): boolean {
  if (state.phase.kind !== 'idle' || isAnnounced(state, at, policy)) return false
  const due = nextDue(state, at, policy)
  return Math.min(due?.at ?? Number.POSITIVE_INFINITY, wantedReadAt(state)) > deadline
}
