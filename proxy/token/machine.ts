import { adopt } from './adoption.ts'
import { isSurelySuspect, isSuspect, nextDue, rejectionMintFrom, wanted } from './due.ts'
import { mintEnded } from './mint-ended.ts'
import { backoffMs, utcDay } from './pacing.ts'
import type { Action, Instant, TokenEvent, TokenPolicy, TokenState } from './state.ts'
import { isUsable } from './token.ts'

/** A step's result: the state after it and what the shell has to do, in order. */
export interface Step {
  readonly state: TokenState
  readonly actions: readonly Action[]
}

/** Least pause between two reads caused by rejections: a thousand rejected calls are one question. */
const READ_GAP_MS = 200
const POLL_MS = 5_000
/** Calls under way when a rotation begins get this long to come back before the old token dies. */
const DRAIN_MS = 250
/** A replica's own schedule may fire a little before or after the one that minted. */
const SCHEDULE_SKEW_MS = 2_000

/** Room for publishing, within the lease: lease = mint deadline + quarantine + this. */
const PUBLISH_MS = 1_000

/** How long the right to mint is asked for: longer than anything sent under it can take effect (see `MintLease`). */
export function leaseMs(policy: TokenPolicy): number {
  return policy.mintTimeoutMs + policy.mintQuarantineMs + PUBLISH_MS
}

/**
 * The token life cycle as a pure function: rules 1 to 11 of docs/architecture.md. There is one attempt at a time, in the
 * order read → acquire → begin → drain → mint → publish; each stage asks again whether the attempt is still wanted.
 */
export function step(before: TokenState, event: TokenEvent, at: Instant, policy: TokenPolicy): Step {
  const actions: Action[] = []
  let state = before
  switch (event.kind) {
    case 'tick':
      break
    case 'schedule':
      if (state.token === null || state.token.mintedAt < at.now - SCHEDULE_SKEW_MS)
        state = { ...state, scheduled: true }
      break
    case 'asked':
      state = { ...state, asked: true }
      break
    case 'secret_changed':
      // What the API said of the old secret says nothing about the new one; its entry counts from its own numbers.
      state = {
        ...state,
        orphan: true,
        topGeneration: 0,
        pause: null,
        secretRejections: 0,
        failures: 0,
        requests: { day: '', count: 0 },
        offerAt: null,
        phase: state.phase.kind === 'waiting' ? { kind: 'idle' } : state.phase,
      }
      break
    case 'rejected':
      state = onRejected(state, event.sentAt, at, policy, actions)
      break
    case 'replay_accepted':
      state = onReplayAccepted(state, event.generation, actions)
      break
    case 'store_changed':
      if (state.phase.kind === 'idle' || state.phase.kind === 'waiting') state = startReading(state, actions)
      break
    case 'read':
      state = adopt(storeAnswered(state), event.state, at, actions)
      state = { ...state, readAt: at.mono, phase: { kind: 'idle' } }
      if (dueNow(state, at, policy)) {
        actions.push({ do: 'acquire' })
        state = { ...state, phase: { kind: 'acquiring' } }
      }
      return { state, actions }
    case 'leased':
      state = adopt(storeAnswered(state), event.state, at, actions)
      if (dueNow(state, at, policy)) {
        actions.push({ do: 'begin', day: utcDay(at.now) })
        state = {
          ...state,
          announcedAt: null,
          phase: { kind: 'beginning', leasedAt: at.mono, since: at.mono },
        }
        return { state, actions }
      }
      actions.push({ do: 'release' })
      state = { ...state, phase: { kind: 'idle' } }
      break
    case 'lease_denied':
      state = storeAnswered({
        ...state,
        phase: { kind: 'waiting', retryAt: at.mono + READ_GAP_MS * (1 + at.random) },
      })
      break
    case 'begun':
      state = onBegun(storeAnswered(state), event.count, at, policy, actions)
      break
    case 'mint_ended':
      state = mintEnded(state, event.outcome, at, policy, actions)
      break
    case 'published':
      state = storeAnswered(state)
      if (event.accepted) state = { ...state, phase: { kind: 'idle' } }
      else {
        // A successor took over: what it published is the fleet's token, and ours may be dead already.
        actions.push({
          do: 'tell',
          level: 'warn',
          event: 'publish_superseded',
          fields: { generation: state.topGeneration },
        })
        state = startReading({ ...state, orphan: true }, actions)
      }
      break
    case 'offered':
      state = adopt({ ...storeAnswered(state), offerAt: null }, event.state, at, actions)
      break
    case 'store_failed':
      state = onStoreFailed(state, event.during, at, actions)
      break
  }
  return { state: proceed(state, at, policy, actions), actions }
}

/** Moves an attempt on as far as time alone allows. */
function proceed(state: TokenState, at: Instant, policy: TokenPolicy, actions: Action[]): TokenState {
  const { phase } = state
  if (state.offerAt !== null && at.mono >= state.offerAt && state.token !== null) {
    actions.push({ do: 'offer', token: state.token })
    return proceed({ ...state, offerAt: null }, at, policy, actions)
  }
  if (phase.kind === 'draining' && (at.inFlight === 0 || at.mono >= phase.until)) {
    return send(state, phase.leasedAt, phase.since, at, policy, actions)
  }
  if (phase.kind === 'waiting' && at.mono >= phase.retryAt) return startReading(state, actions)
  if (phase.kind !== 'idle') return state
  const stale = at.mono - state.readAt >= POLL_MS * (1 + at.random)
  if (dueNow(state, at, policy) || (stale && at.mono >= state.storeRetryAt))
    return startReading(state, actions)
  return state
}

function dueNow(state: TokenState, at: Instant, policy: TokenPolicy): boolean {
  const due = nextDue(state, at, policy)
  return due !== null && due.at <= at.mono
}

function startReading(state: TokenState, actions: Action[]): TokenState {
  actions.push({ do: 'read' })
  return { ...state, phase: { kind: 'reading' } }
}

function onRejected(
  state: TokenState,
  sentAt: number,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  const first = !isSuspect(state, at)
  const suspect: TokenState = {
    ...state,
    rejectedAt: at.mono,
    surelyRejectedAt: at.acceptedSentAt <= sentAt ? at.mono : state.surelyRejectedAt,
    suspectSince: first ? at.mono : state.suspectSince,
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
  // Adopt before mint: another replica may have replaced it, even while a mint of ours is not allowed yet (rule 2).
  const read =
    suspect.phase.kind === 'idle' &&
    at.mono - suspect.readAt >= READ_GAP_MS &&
    at.mono >= suspect.storeRetryAt
  return read ? startReading(suspect, actions) : suspect
}

function onReplayAccepted(state: TokenState, generation: number, actions: Action[]): TokenState {
  // The replaced token had been dead, so minting for a rejection was right: the pauses start again from the shortest.
  const proven: TokenState = { ...state, rejectionStreak: 0 }
  if (generation !== state.replacedByRejection) return proven
  // It had life left and nobody here replaced it (rule 10). The mark is cleared: each replaced token counts once.
  const times = state.foreignStreak + 1
  actions.push({ do: 'foreign' })
  actions.push({
    do: 'tell',
    level: times === 1 ? 'warn' : 'info',
    event: 'foreign_mint',
    fields: { generation, times },
  })
  return { ...proven, replacedByRejection: null, foreignStreak: times }
}

function onBegun(
  state: TokenState,
  count: number,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  if (state.phase.kind !== 'beginning') return state
  const { leasedAt, since } = state.phase
  const begun: TokenState = { ...state, requests: { day: utcDay(at.now), count }, lastRequestAt: at.mono }
  const oldTokenLives = begun.token !== null && isUsable(begun.token, at.now) && !isSuspect(begun, at)
  if (!oldTokenLives || begun.unknownSince !== null || at.inFlight === 0) {
    return send(begun, leasedAt, since, at, policy, actions)
  }
  return { ...begun, phase: { kind: 'draining', leasedAt, since, until: at.mono + DRAIN_MS } }
}

function send(
  state: TokenState,
  leasedAt: number,
  since: number,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  // The lease has to outlive whatever is sent under it; a process that was stopped for a while since must not send.
  const latest = leasedAt + policy.mintTimeoutMs
  const timeoutMs = Math.min(policy.mintTimeoutMs, latest - at.mono)
  if (timeoutMs < policy.mintTimeoutMs / 2) {
    actions.push({ do: 'release' })
    return { ...state, phase: { kind: 'idle' } }
  }
  actions.push({ do: 'mint', timeoutMs })
  const reason = wanted(state, at, policy) ?? 'refresh'
  return { ...state, phase: { kind: 'minting', reason, since, sentAt: at.mono } }
}

function onStoreFailed(
  state: TokenState,
  during: 'read' | 'acquire' | 'begin' | 'publish' | 'offer',
  at: Instant,
  actions: Action[],
): TokenState {
  const failures = state.storeFailures + 1
  const retryAt = at.mono + backoffMs(failures, 250, 5_000, at.random)
  const failed: TokenState = { ...state, storeHealthy: false, storeFailures: failures, storeRetryAt: retryAt }
  if (state.storeHealthy)
    actions.push({ do: 'tell', level: 'warn', event: 'store_unreachable', fields: { during } })
  // The token is in use whether or not it could be stored (rule 9): the earlier one is revoked either way.
  if (during === 'offer') return { ...failed, offerAt: retryAt }
  if (during === 'publish') return { ...failed, offerAt: retryAt, phase: { kind: 'idle' } }
  if (during === 'begin') actions.push({ do: 'release' })
  return { ...failed, phase: { kind: 'idle' } }
}

function storeAnswered(state: TokenState): TokenState {
  if (state.storeHealthy) return state
  return { ...state, storeHealthy: true, storeFailures: 0, storeRetryAt: Number.NEGATIVE_INFINITY }
}
