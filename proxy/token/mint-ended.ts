import { adviceFor } from '../lib/advice.ts'
import { tokenFields, withToken } from './adoption.ts'
import type { MintFailure, MintOutcome } from './minter.ts'
import { growing, retryPauseMs, untilMidnightMs } from './pacing.ts'
import { replacedForRejection } from './rejections.ts'
import type { Action, Instant, TokenPolicy, TokenState } from './state.ts'
import type { MintReason } from './status.ts'
import { isUsable, type Token } from './token.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60_000

type Refused = Extract<MintOutcome, { kind: 'refused' }>

/** What one request to the token API means for the credential (rules 5 to 9). */
export function mintEnded(
  state: TokenState,
  outcome: MintOutcome,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  if (state.phase.kind !== 'minting') return state
  const { reason } = state.phase
  switch (outcome.kind) {
    case 'minted': {
      const token: Token = { ...outcome.token, generation: state.topGeneration + 1 }
      actions.push({ do: 'tally', outcome: 'minted' })
      const fields = { ...tokenFields(token), reason, replaced: state.token?.generation ?? null }
      actions.push({ do: 'tell', level: 'info', event: 'token_minted', fields })
      actions.push({ do: 'publish', token })
      return afterMint(state, token, reason, at)
    }
    case 'refused':
      actions.push({ do: 'release' })
      return refused(failed(state, outcome.error, at, actions), outcome, at, policy, actions)
    case 'unknown': {
      actions.push({ do: 'tally', outcome: 'unknown' })
      const known = failed(state, outcome.error, at, actions)
      const until = at.mono + retryPauseMs(known.failures, policy.holdTimeoutMs, at.random)
      return {
        ...known,
        phase: { kind: 'idle' },
        // A person's wish is one request. That it is repeated is rule 6's doing, at rule 7's pauses.
        asked: false,
        unknownSince: known.unknownSince ?? at.mono,
        disturbed: true,
        quietUntil: at.mono + policy.mintQuarantineMs,
        pause: { until, untilEpochMs: null, why: 'failed' },
      }
    }
  }
}

function afterMint(state: TokenState, token: Token, reason: MintReason, at: Instant): TokenState {
  const fresh: TokenState = { ...withToken(state, token), phase: { kind: 'publishing' } }
  // A token that arrives expired is no token: slow down as after any failure, or this becomes a busy loop.
  const useless = !isUsable(token, at.now)
  const paced: TokenState = useless
    ? {
        ...fresh,
        failures: state.failures + 1,
        pause: {
          until: at.mono + growing(state.failures + 1, SECOND_MS, MINUTE_MS),
          untilEpochMs: null,
          why: 'failed',
        },
      }
    : fresh
  const forRejection = reason === 'rejected' || (reason === 'unknown_outcome' && state.rejectedAt !== null)
  if (!forRejection) {
    // It lived its life to a planned end: nobody else is minting now.
    return reason === 'refresh' || reason === 'scheduled'
      ? { ...paced, rejectionStreak: 0, foreignStreak: 0, replacedByRejection: null }
      : { ...paced, replacedByRejection: null }
  }
  // After an answer of ours was lost, a dead token is our own doing.
  const foreign = !state.disturbed
  return { ...paced, ...replacedForRejection(state, state.token?.generation ?? null, foreign, at) }
}

/** A definite refusal: the old token lives and everybody may go on with it at once. */
function refused(
  state: TokenState,
  outcome: Refused,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  // Only success answers a person's wish, but a refusal ends it: they are told, and may ask again.
  const idle: TokenState = { ...state, phase: { kind: 'idle' }, asked: false }
  switch (outcome.reason) {
    case 'secret_rejected': {
      // Only a person can mend this (secret, API client, or the caller's address): do not hammer.
      actions.push({ do: 'tally', outcome: 'rejected' })
      const times = state.secretRejections + 1
      const until = at.mono + growing(times, MINUTE_MS, 15 * MINUTE_MS)
      return {
        ...idle,
        secretRejections: times,
        pause: { until, untilEpochMs: null, why: 'secret_rejected' },
      }
    }
    case 'quota_exhausted': {
      actions.push({ do: 'tally', outcome: 'quota' })
      // A few seconds past midnight, spread: their clock and ours differ.
      const delayMs = untilMidnightMs(at.now) + 5 * SECOND_MS * (1 + at.random)
      return { ...idle, pause: { until: at.mono + delayMs, untilEpochMs: at.now + delayMs, why: 'quota' } }
    }
    case 'unreachable': {
      actions.push({ do: 'tally', outcome: 'error' })
      const until = at.mono + retryPauseMs(state.failures, policy.holdTimeoutMs, at.random)
      return { ...idle, pause: { until, untilEpochMs: null, why: 'failed' } }
    }
  }
}

function failed(state: TokenState, error: MintFailure, at: Instant, actions: Action[]): TokenState {
  const person = error.code === 'mint_secret_rejected' || error.code === 'mint_quota_exhausted'
  actions.push({
    do: 'tell',
    level: person ? 'error' : 'warn',
    event: 'mint_failed',
    fields: {
      code: error.code,
      status: error.status,
      error_id: error.errorId,
      cause: error.cause,
      local_address: error.localAddress,
      // The line that a person reads in the night says by itself what it may be.
      causes: person ? adviceFor(error.code)?.causes : undefined,
    },
  })
  return {
    ...state,
    failures: state.failures + 1,
    lastError: { code: error.code, at: at.now, errorId: error.errorId ?? null },
  }
}
