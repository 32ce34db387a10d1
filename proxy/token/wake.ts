import { nextDue } from './due.ts'
import type { Instant, TokenPolicy, TokenState } from './state.ts'

/** Least pause between two reads caused by rejections: a thousand rejected calls are one question. */
const READ_GAP_MS = 200

/** When time alone moves an attempt on, monotonic ms; `Infinity` when only an event can. Polls are left to the tick. */
export function wakeAt(state: TokenState, at: Instant, policy: TokenPolicy): number {
  const { phase } = state
  const offerAt = state.offerAt ?? Number.POSITIVE_INFINITY
  switch (phase.kind) {
    case 'idle': {
      const due = nextDue(state, at, policy)?.at ?? Number.POSITIVE_INFINITY
      return Math.min(offerAt, due, wantedReadAt(state))
    }
    case 'waiting':
      return Math.min(offerAt, phase.retryAt)
    case 'draining':
      return Math.min(offerAt, phase.until)
    default:
      return offerAt
  }
}

/** When the store is read because calls were rejected, monotonic ms; `Infinity` when they were not. */
export function wantedReadAt(state: TokenState): number {
  return state.readWanted
    ? Math.max(state.readAt + READ_GAP_MS, state.storeRetryAt)
    : Number.POSITIVE_INFINITY
}
