import { abortable, deadline } from '../lib/abort.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { ProblemError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { credentialStatus } from './credential-state.ts'
import { nextDue } from './due.ts'
import { Effects, type SecretParts } from './effects.ts'
import { type Holds, holds, holdsChangeAt, imminentFrom } from './hold.ts'
import { isHopeless, lackCode } from './lack.ts'
import { leaseMs } from './lease-time.ts'
import { isUnfinished, step } from './machine.ts'
import { MintRecord } from './mint-record.ts'
import { patience, replayCounts } from './patience.ts'
import { ReplayEvidence } from './replay-evidence.ts'
import type { HeldToken, TokenSource, Waiting } from './source.ts'
import { type Instant, initialState, type TokenEvent, type TokenPolicy, type TokenState } from './state.ts'
import type { CredentialStatus } from './status.ts'
import { isUsable } from './token.ts'
import { type Verdict, type WaitingCall, WaitingCalls } from './waiting-calls.ts'
import { wakeAt } from './wake.ts'

/** What a manager works with. */
export interface TokenManagerParts extends SecretParts {
  /** Name of the credential, for logs and status. */
  readonly name: string
  readonly policy: TokenPolicy
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly log: Log
}

/** `tick()` comes each second; only what falls due before the next one gets a timer, so none is ever long (rule 11). */
const TICK_MS = 1_000
const NEVER = Number.POSITIVE_INFINITY

/**
 * Keeps one valid token of one client secret. A thin shell around the state machine: it feeds events in, has the actions
 * carried out, and lets calls wait. The work belongs to no caller: one that leaves ends its own wait only.
 */
export class TokenManager implements TokenSource {
  readonly name: string
  readonly #parts: TokenManagerParts
  readonly #record = new MintRecord()
  readonly #effects: Effects
  readonly #waiting = new WaitingCalls()
  readonly #evidence = new ReplayEvidence()
  readonly #observers = new Set<() => void>()
  #stopped = false
  #nextSecret: SecretParts | null = null
  #state: TokenState = initialState
  #held: HeldToken | null = null
  #holds: Holds = { replayable: -NEVER, unreplayable: -NEVER }
  #imminentFrom = NEVER
  #cancelWake: Cancel = () => {}

  constructor(parts: TokenManagerParts) {
    this.name = parts.name
    this.#parts = parts
    this.#effects = new Effects({
      ...parts,
      leaseMs: leaseMs(parts.policy),
      record: this.#record,
      emit: (event) => this.#apply(event),
    })
  }

  /** Reads the store and, if it holds no usable token, mints. Returns at once; readiness shows in `status()`. */
  start(): void {
    this.#effects.watch()
    this.#apply({ kind: 'tick' })
  }

  /** To be called each second: compares the wall clock with the token's life. */
  tick(): void {
    this.#apply({ kind: 'tick' })
  }

  /** To be called when `ROTATE_SCHEDULE` fires. */
  scheduled(): void {
    this.#apply({ kind: 'schedule' })
  }

  /** Goes over to a new secret: its store entry and its minter. The old secret's token serves until there is a new one. */
  replaceSecret(next: SecretParts): void {
    this.#nextSecret = next
    this.#apply({ kind: 'tick' })
  }

  /** Mints now because a person asks. Rejects with `ProblemError` when that failed, or with the signal's reason. */
  async rotate(signal: AbortSignal): Promise<CredentialStatus> {
    const { clock, policy } = this.#parts
    const before = this.#held
    const errorBefore = this.#state.lastError
    // A lease that a killed process left behind has to run out first, and then the mint may need a second try.
    const longest = leaseMs(policy) + 2 * (policy.mintTimeoutMs + policy.mintQuarantineMs)
    const bound = deadline(clock, longest, signal)
    // A refusal ends the wish; after an unanswered mint it is tried again.
    const refused = () =>
      !this.#state.asked && this.#state.unknownSince === null && this.#state.lastError !== errorBefore
    const outcome = this.#until(
      () => this.#held !== before || this.#state.stopping || refused(),
      bound.signal,
    )
    this.#apply({ kind: 'asked' })
    try {
      await outcome
    } catch (error) {
      if (signal.aborted) throw error
      throw new ProblemError('token_unavailable', { cause: error })
    } finally {
      bound.clear()
    }
    if (this.#held === before) throw this.#lack(this.#instant())
    return this.status()
  }

  /**
   * Ends all work; calls that wait are told `shutting_down`. A mint that was sent is finished first, within its own
   * deadline, and its token stored: it has revoked the one that is, so its answer must not be lost.
   */
  async stop(): Promise<void> {
    const { clock, policy } = this.#parts
    this.#apply({ kind: 'stopping' })
    const bound = deadline(clock, leaseMs(policy))
    await this.#until(() => !isUnfinished(this.#state), bound.signal)
      .catch(() => {})
      .finally(bound.clear)
    this.#stopped = true
    this.#cancelWake()
    const at = this.#instant()
    this.#waiting.settle(({ rejected }) => (rejected === null ? { error: this.#lack(at) } : { token: null }))
    await this.#effects.close()
  }

  peek(replayable: boolean): HeldToken | null {
    const held = this.#held
    if (held === null) return null
    const { clock } = this.#parts
    const holdUntil = replayable ? this.#holds.replayable : this.#holds.unreplayable
    if (holdUntil !== -NEVER && clock.monotonic() < holdUntil) return null
    if (!replayable && this.#imminentFrom !== NEVER && clock.monotonic() >= this.#imminentFrom) return null
    return held.validTill !== null && clock.now() >= held.validTill ? null : held
  }

  async current(waiting: Waiting): Promise<HeldToken> {
    if (this.#stopped) throw this.#lack(this.#instant())
    const token = await this.#wait(waiting, null)
    if (token === null) throw new ProblemError('token_unavailable')
    return token
  }

  async replace(rejected: HeldToken, sentAt: number, waiting: Waiting): Promise<HeldToken | null> {
    if (rejected !== this.#held || this.#state.phase.kind === 'minting') this.#evidence.late(rejected)
    const { isReplay = false } = waiting
    const { clock, policy } = this.#parts
    if (rejected === this.#held && (!isReplay || replayCounts(this.#state, clock.monotonic(), policy)))
      this.#apply({ kind: 'rejected', sentAt, isReplay })
    return waiting.replayable && !this.#stopped ? this.#wait(waiting, rejected) : null
  }

  replayAccepted(replaced: HeldToken): void {
    if (this.#evidence.accepted(replaced))
      this.#apply({ kind: 'replay_accepted', generation: replaced.generation })
  }

  /** Calls back whenever something may have changed, and often when nothing has. Cheap callbacks only: calls wait for it. */
  observe(run: () => void): Cancel {
    const observer = () => run()
    this.#observers.add(observer)
    return () => void this.#observers.delete(observer)
  }

  status(): CredentialStatus {
    const status = credentialStatus(this.#state, this.#instant(), this.#parts.policy, this.#record)
    return { name: this.name, ...status, store: { ...status.store, kind: this.#effects.storeKind } }
  }

  /** Only the newcomer is judged: thousands may be waiting, and nothing has changed for them. */
  #wait(waiting: Waiting, rejected: HeldToken | null): Promise<HeldToken | null> {
    const at = this.#instant()
    const deadline = at.mono + this.#parts.policy.holdTimeoutMs
    const { replayable, isReplay = false } = waiting
    const call: WaitingCall = { replayable, isReplay, rejected, deadline }
    const verdict = this.#judge(call, at)
    if (verdict !== null) {
      if (waiting.signal.aborted) return Promise.reject(waiting.signal.reason)
      return 'error' in verdict ? Promise.reject(verdict.error) : Promise.resolve(verdict.token)
    }
    const token = this.#waiting.add(call, waiting.signal)
    this.#setWake(at)
    return token
  }

  #judge(call: WaitingCall, at: Instant): Verdict {
    const { policy } = this.#parts
    const held = this.#held
    if (held !== null && call.rejected === held) {
      // Cleared meanwhile, or no replacement can come in time: the upstream's own answer goes to the caller.
      const rejectedAt = call.deadline - policy.holdTimeoutMs
      if (held.acceptedSentAt > rejectedAt || at.mono >= call.deadline) return { token: null }
      return isHopeless(this.#state, at, policy, patience(call, held, this.#state, at))
        ? { token: null }
        : null
    }
    const open = this.peek(call.replayable)
    if (open !== null) return { token: open }
    if (held !== null && isUsable(held, at.now)) return at.mono >= call.deadline ? { token: held } : null
    const inVain = at.mono >= call.deadline || isHopeless(this.#state, at, policy, call.deadline)
    if (!inVain) return null
    return call.rejected === null ? { error: this.#lack(at) } : { token: null }
  }

  #lack(at: Instant): ProblemError {
    if (this.#state.stopping) return new ProblemError('shutting_down')
    const due = nextDue(this.#state, at, this.#parts.policy)
    const retryAfterS = due === null ? 1 : Math.max(1, Math.ceil((due.at - at.mono) / 1_000))
    return new ProblemError(lackCode(this.#state, at, this.#parts.policy), { retryAfterS })
  }

  #apply(event: TokenEvent): void {
    if (this.#stopped) return
    const before = this.#state
    const now = this.#instant()
    const { state, actions } = step(before, event, now, this.#parts.policy)
    this.#state = state
    this.#record.history.stepped(before, event, state, now)
    this.#takeToken()
    for (const action of actions) this.#effects.perform(action)
    const at = this.#instant()
    this.#holds = holds(state, at, this.#parts.policy)
    this.#imminentFrom = imminentFrom(state, at, this.#parts.policy) ?? NEVER
    // A rejection ends nobody's wait, and there may be a thousand of both.
    if (event.kind !== 'rejected') this.#waiting.settle((call) => this.#judge(call, at))
    this.#setWake(at)
    for (const observe of this.#observers) observe()
    this.#changeSecret()
  }

  /** One `HeldToken` for each generation: late evidence counts for the token it was brought back for. */
  #takeToken(): void {
    const { token } = this.#state
    if (token === null || this.#held?.value === token.value) return
    this.#held = { ...token, acceptedSentAt: -1, inFlight: 0, unreplayableInFlight: 0 }
  }

  #changeSecret(): void {
    const { kind } = this.#state.phase
    if (this.#nextSecret === null || (kind !== 'idle' && kind !== 'waiting')) return
    this.#effects.changeSecret(this.#nextSecret)
    this.#nextSecret = null
    this.#parts.log.info('secret_changed', { credential: this.name })
    this.#apply({ kind: 'secret_changed' })
  }

  /** Resolves when `reached` holds after an event; rejects when the signal aborts. */
  #until(reached: () => boolean, signal: AbortSignal): Promise<void> {
    if (reached()) return Promise.resolve()
    let observe = () => {}
    const done = new Promise<void>((resolve) => {
      observe = () => {
        if (reached()) resolve()
      }
      this.#observers.add(observe)
    })
    return abortable(done, signal).finally(() => this.#observers.delete(observe))
  }

  #setWake(at: Instant): void {
    this.#cancelWake()
    const delayMs = Math.max(1, this.#nextChange(at) - at.mono)
    // Who stops the manager has stopped its tick before.
    const isOwn = delayMs <= TICK_MS || (this.#state.stopping && delayMs !== NEVER)
    this.#cancelWake = isOwn ? this.#parts.clock.after(delayMs, () => this.tick()) : () => {}
  }

  /** When time alone changes something, monotonic ms. */
  #nextChange(at: Instant): number {
    const own = wakeAt(this.#state, at, this.#parts.policy)
    if (this.#waiting.size === 0) return own
    return Math.min(own, this.#waiting.nextDeadline(), holdsChangeAt(this.#state, this.#holds, at))
  }

  #instant(): Instant {
    const { clock, random, store } = this.#parts
    const held = this.#held
    return {
      now: clock.now(),
      mono: clock.monotonic(),
      random: random(),
      acceptedSentAt: held?.acceptedSentAt ?? -1,
      unreplayableInFlight: held?.unreplayableInFlight ?? 0,
      storePollMs: store.pollMs,
    }
  }
}
