import { adviceFor } from '../lib/advice.ts'
import { isSurelySuspect, isSuspect, rejectionMintFrom } from './due.ts'
import type { Action, Instant, TokenEvent, TokenPolicy, TokenState } from './state.ts'

const MINUTE_MS = 60_000
/** A rejection this long after the last replacement for one has nothing to do with it. */
const FORGOTTEN_MS = 60 * MINUTE_MS

/** A call sent at `sentAt` with the held token was rejected (rule 4). */
export function rejected(
  state: TokenState,
  { sentAt, isReplay }: Extract<TokenEvent, { kind: 'rejected' }>,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  const first = !isSuspect(state, at)
  // A replay was rejected before, with another token: its endpoint may well be one that rejects them all.
  const isSure = at.acceptedSentAt <= sentAt && (!isReplay || state.foreignStreak > 0)
  const suspect: TokenState = {
    ...state,
    rejectedAt: at.mono,
    surelyRejectedAt: isSure ? at.mono : state.surelyRejectedAt,
    suspectSince: first ? at.mono : state.suspectSince,
    // Another process may have replaced it, even while a mint of ours is not allowed yet (rule 2).
    readWanted: true,
  }
  if (first) {
    // An endpoint that rejects every token, beside others that do not, makes this come and go with each call.
    const acted = isSurelySuspect(suspect, at) && rejectionMintFrom(state, policy) <= at.mono
    actions.push({
      do: 'tell',
      level: acted ? 'warn' : 'debug',
      event: 'token_suspect',
      fields: { generation: state.token?.generation },
    })
  }
  return suspect
}

/** The rejected token was replaced: by us, or, which comes to the same for the pauses, by another process. */
export function replacedForRejection(
  state: TokenState,
  generation: number | null,
  foreign: boolean,
  at: Instant,
): Pick<TokenState, 'rejectionMintAt' | 'rejectionStreak' | 'foreignStreak' | 'replacedByRejection'> {
  const longAgo = at.mono - state.rejectionMintAt > FORGOTTEN_MS
  return {
    rejectionMintAt: at.mono,
    rejectionStreak: longAgo ? 1 : state.rejectionStreak + 1,
    foreignStreak: longAgo ? 0 : state.foreignStreak,
    replacedByRejection: generation === null ? null : { generation, foreign },
  }
}

/** A call rejected with `generation` before that was replaced has been accepted with a newer token. */
export function replayAccepted(state: TokenState, generation: number, actions: Action[]): TokenState {
  const replaced = state.replacedByRejection
  if (replaced?.generation !== generation) return state
  // The replaced token had been dead, so replacing it was right: the pauses start again from the shortest. The mark is
  // cleared: each replaced token counts once.
  const proven: TokenState = { ...state, rejectionStreak: 0, replacedByRejection: null }
  if (!replaced.foreign) return proven
  // It had life left and nobody of ours replaced it (rule 10).
  const times = state.foreignStreak + 1
  actions.push({ do: 'foreign' })
  actions.push({
    do: 'tell',
    level: times === 1 ? 'warn' : 'info',
    event: 'foreign_mint',
    fields: { generation, times, causes: times === 1 ? adviceFor('foreign_mint')?.causes : undefined },
  })
  return { ...proven, foreignStreak: times }
}
