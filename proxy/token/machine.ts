import { adopt } from './adoption.ts'
import { isSuspect, nextDue, wanted } from './due.ts'
import { elapsedMs } from './lease-time.ts'
import { mintEnded } from './mint-ended.ts'
import { backoffMs, utcDay } from './pacing.ts'
import { rejected, replayAccepted } from './rejections.ts'
import type { Action, ClockReading, Instant, TokenEvent, TokenPolicy, TokenState } from './state.ts'
import { isUsable } from './token.ts'
import { wantedReadAt } from './wake.ts'

/** A step's result: the state after it and what the shell has to do, in order. */
export interface Step {
  readonly state: TokenState
  readonly actions: readonly Action[]
}

/** Before a token is offered once more to a store that had lost it. */
const OFFER_RETRY_MS = 5_000
/** Least wait before the right to mint is asked for again; up to twice as long, so that waiting processes spread. */
const LEASE_RETRY_MS = 200
/**
 * Calls under way when a rotation begins get this long to come back before the old token dies. Those of other processes,
 * too, which have to hear of it first: so it is not cut short when our own are back.
 */
const DRAIN_MS = 250
/** A replica's own schedule may fire a little before or after the one that minted. */
const SCHEDULE_SKEW_MS = 2_000

/**
 * The token life cycle as a pure function: rules 1 to 11 of docs/architecture.md. There is one attempt at a time, in the
 * order read → acquire → begin → drain → mint → publish; each stage asks again whether the attempt is still wanted.
 * Inside, what is to be done is appended to the list that a step begins with.
 */
export function step(before: TokenState, event: TokenEvent, at: Instant, policy: TokenPolicy): Step {
  const actions: Action[] = []
  const state = react(before, event, at, policy, actions)
  return { state: proceed(state, at, policy, actions), actions }
}

function react(
  state: TokenState,
  event: TokenEvent,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  switch (event.kind) {
    case 'tick':
      return state
    case 'schedule': {
      const justMinted = state.token !== null && state.token.mintedAt >= at.now - SCHEDULE_SKEW_MS
      return justMinted ? state : { ...state, scheduled: true }
    }
    case 'asked':
      return { ...state, asked: true }
    case 'secret_changed':
      return secretChanged(state)
    case 'stopping':
      return { ...state, stopping: true }
    case 'rejected':
      return rejected(state, event, at, policy, actions)
    case 'replay_accepted':
      return replayAccepted(state, event.generation, actions)
    case 'store_changed':
      if (state.phase.kind === 'idle' || state.phase.kind === 'waiting') return startReading(state, actions)
      if (state.phase.kind !== 'reading' && state.phase.kind !== 'acquiring') return state
      return { ...state, phase: { ...state.phase, again: true } }
    case 'read': {
      const read = adopt(storeAnswered(state), event.state, at, policy, actions)
      const idle: TokenState = { ...read, readAt: at.mono, phase: { kind: 'idle' } }
      if (dueNow(idle, at, policy)) {
        actions.push({ do: 'acquire' })
        // A store that answers reads may yet refuse to be written: its failures are forgotten when it has let us write.
        const { storeHealthy, storeFailures } = state
        const leaseRequestedAt: ClockReading = { now: at.now, mono: at.mono }
        return {
          ...idle,
          storeHealthy,
          storeFailures,
          phase: { kind: 'acquiring', leaseRequestedAt, again: false },
        }
      }
      return state.phase.kind === 'reading' && state.phase.again ? startReading(idle, actions) : idle
    }
    case 'leased': {
      const { phase } = state
      const leased = adopt(storeAnswered(state), event.state, at, policy, actions)
      if (phase.kind === 'acquiring' && dueNow(leased, at, policy)) {
        actions.push({ do: 'begin', day: utcDay(at.now) })
        return {
          ...leased,
          announcedAt: null,
          phase: { kind: 'beginning', leaseRequestedAt: phase.leaseRequestedAt, since: at.mono },
        }
      }
      actions.push({ do: 'release' })
      return { ...leased, phase: { kind: 'idle' } }
    }
    case 'lease_denied': {
      const denied = storeAnswered(state)
      // The change may be the announcement, and the old token dies soon after that.
      if (state.phase.kind === 'acquiring' && state.phase.again) return startReading(denied, actions)
      return { ...denied, phase: { kind: 'waiting', retryAt: at.mono + LEASE_RETRY_MS * (1 + at.random) } }
    }
    case 'begun':
      return begun(storeAnswered(state), event.count, at, policy, actions)
    case 'mint_ended':
      return mintEnded(state, event.outcome, at, policy, actions)
    case 'published':
      if (event.accepted) return { ...storeAnswered(state), phase: { kind: 'idle' } }
      // A successor took over. While it has not published, ours is the newest token; its own replaces it then.
      actions.push({
        do: 'tell',
        level: 'warn',
        event: 'publish_superseded',
        fields: { generation: state.topGeneration },
      })
      return { ...storeAnswered(state), phase: { kind: 'idle' }, offerAt: at.mono }
    case 'offered': {
      const offered: TokenState = { ...storeAnswered(state), offering: false, offerAt: null }
      const known = adopt(offered, event.state, at, policy, actions)
      // Our lease may have been left over from the write that failed; it is announced, and the others hold their calls.
      if (known.phase.kind === 'idle') actions.push({ do: 'release' })
      return known.offerAt === null ? known : { ...known, offerAt: at.mono + OFFER_RETRY_MS }
    }
    case 'store_failed':
      return storeFailed(state, event, at, actions)
  }
}

/** Moves an attempt on as far as time alone allows. */
function proceed(state: TokenState, at: Instant, policy: TokenPolicy, actions: Action[]): TokenState {
  const { phase } = state
  if (state.offerAt !== null && at.mono >= state.offerAt && state.token !== null) {
    actions.push({ do: 'offer', token: state.token })
    return proceed({ ...state, offerAt: null, offering: true }, at, policy, actions)
  }
  if (phase.kind === 'draining' && at.mono >= phase.until) {
    return send(state, phase.leaseRequestedAt, phase.since, at, policy, actions)
  }
  if (phase.kind === 'waiting' && at.mono >= phase.retryAt) return startReading(state, actions)
  if (phase.kind !== 'idle') return state
  const stale = at.mono - state.readAt >= at.storePollMs * (1 + at.random) && at.mono >= state.storeRetryAt
  const read = stale || at.mono >= wantedReadAt(state) || dueNow(state, at, policy)
  return read ? startReading(state, actions) : state
}

function dueNow(state: TokenState, at: Instant, policy: TokenPolicy): boolean {
  const due = nextDue(state, at, policy)
  return due !== null && due.at <= at.mono
}

/** Whether the process must not end yet: a mint may have been sent, or its token is not in the store. */
export function isUnfinished(state: TokenState): boolean {
  const { kind } = state.phase
  const sent = kind !== 'idle' && kind !== 'reading' && kind !== 'waiting'
  return sent || state.offerAt !== null || state.offering
}

function startReading(state: TokenState, actions: Action[]): TokenState {
  actions.push({ do: 'read' })
  return { ...state, readWanted: false, phase: { kind: 'reading', again: false } }
}

/** What is known of the old secret says nothing about the new one; its entry counts from its own numbers. */
function secretChanged(state: TokenState): TokenState {
  return {
    ...state,
    orphan: true,
    topGeneration: 0,
    pause: null,
    secretRejections: 0,
    failures: 0,
    unknownSince: null,
    announcedAt: null,
    disturbed: false,
    quietUntil: Number.NEGATIVE_INFINITY,
    rejectionMintAt: Number.NEGATIVE_INFINITY,
    rejectionStreak: 0,
    foreignStreak: 0,
    replacedByRejection: null,
    requests: { day: '', count: 0 },
    offerAt: null,
    offering: false,
    phase: state.phase.kind === 'waiting' ? { kind: 'idle' } : state.phase,
  }
}

function begun(
  state: TokenState,
  count: number,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  if (state.phase.kind !== 'beginning') return state
  const { leaseRequestedAt, since } = state.phase
  const counted: TokenState = { ...state, requests: { day: utcDay(at.now), count }, lastRequestAt: at.mono }
  const oldTokenLives = counted.token !== null && isUsable(counted.token, at.now) && !isSuspect(counted, at)
  if (!oldTokenLives || counted.unknownSince !== null || counted.orphan) {
    return send(counted, leaseRequestedAt, since, at, policy, actions)
  }
  return { ...counted, phase: { kind: 'draining', leaseRequestedAt, since, until: at.mono + DRAIN_MS } }
}

function send(
  state: TokenState,
  leaseRequestedAt: ClockReading,
  since: number,
  at: Instant,
  policy: TokenPolicy,
  actions: Action[],
): TokenState {
  const reason = wanted(state, at, policy)
  if (reason === null) {
    // A call was accepted meanwhile, the clock was set back or the process ends: no token is revoked for nothing.
    actions.push({ do: 'release' })
    return { ...state, phase: { kind: 'idle' } }
  }
  // The lease has to outlive whatever is sent under it; a process that was stopped for a while since must not send. It was
  // counted, so a store that is slow every time must not have us count in a loop, not even for a person's wish.
  const timeoutMs = policy.mintTimeoutMs - elapsedMs(leaseRequestedAt, at)
  if (timeoutMs < policy.mintTimeoutMs / 2) {
    actions.push({ do: 'release' })
    const fields = { store_ms: Math.round(elapsedMs(leaseRequestedAt, at)) }
    actions.push({ do: 'tell', level: 'warn', event: 'mint_put_off', fields })
    const failures = state.failures + 1
    const storeRetryAt = at.mono + backoffMs(failures, 1_000, 60_000, at.random)
    return { ...state, phase: { kind: 'idle' }, failures, storeRetryAt }
  }
  actions.push({ do: 'mint', timeoutMs: Math.min(timeoutMs, policy.mintTimeoutMs) })
  return { ...state, phase: { kind: 'minting', reason, since, sentAt: at.mono } }
}

function storeFailed(
  state: TokenState,
  { during, cause }: Extract<TokenEvent, { kind: 'store_failed' }>,
  at: Instant,
  actions: Action[],
): TokenState {
  const failures = state.storeFailures + 1
  const retryAt = at.mono + backoffMs(failures, 250, 5_000, at.random)
  const failed: TokenState = { ...state, storeHealthy: false, storeFailures: failures, storeRetryAt: retryAt }
  if (state.storeHealthy)
    actions.push({ do: 'tell', level: 'warn', event: 'store_unreachable', fields: { during, cause } })
  // The token is in use whether or not it could be stored (rule 9): the earlier one is revoked either way.
  if (during === 'offer') return { ...failed, offering: false, offerAt: retryAt }
  if (during === 'publish') return { ...failed, offerAt: retryAt, phase: { kind: 'idle' } }
  if (during === 'begin') actions.push({ do: 'release' })
  return { ...failed, phase: { kind: 'idle' } }
}

function storeAnswered(state: TokenState): TokenState {
  if (state.storeHealthy) return state
  return { ...state, storeHealthy: true, storeFailures: 0, storeRetryAt: Number.NEGATIVE_INFINITY }
}
