import { Secret } from '../../proxy/lib/secret.ts'
import { step } from '../../proxy/token/machine.ts'
import type { MintOutcome } from '../../proxy/token/minter.ts'
import {
  type Action,
  type Instant,
  initialState,
  type TokenEvent,
  type TokenPolicy,
  type TokenState,
} from '../../proxy/token/state.ts'
import type { StoredState } from '../../proxy/token/store.ts'
import type { Token } from '../../proxy/token/token.ts'

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const NOON = Date.parse('2026-11-22T12:00:00Z')
export const TODAY = '2026-11-22'

/** What a planned rotation gives calls under way. */
export const DRAIN_MS = 250

/** The defaults of the settings table. */
export const policy: TokenPolicy = {
  refreshLeadMs: null,
  holdTimeoutMs: 10 * SECOND,
  rotationHoldMs: SECOND,
  mintTimeoutMs: 5 * SECOND,
  mintQuarantineMs: 2 * SECOND,
  mintMinIntervalMs: 30 * SECOND,
  mintDailyBudget: 240,
}

/** A token minted at noon, with an hour to live unless said otherwise. */
export function tokenOf(generation: number, over: Partial<Token> = {}): Token {
  const value = new Secret(`token-${generation}`)
  return { value, validTill: NOON + HOUR, mintedAt: NOON, generation, ...over }
}

export function stored(token: Token | null, over: Partial<StoredState> = {}): StoredState {
  return { token, requests: { day: TODAY, count: 0 }, rotating: false, ...over }
}

export function minted(value: string, over: Partial<{ validTill: number | null; mintedAt: number }> = {}) {
  const token = { value: new Secret(value), validTill: NOON + HOUR, mintedAt: NOON, ...over }
  return { kind: 'minted', token } as const satisfies MintOutcome
}

export const outcomes = {
  unreachable: { kind: 'refused', reason: 'unreachable', error: { code: 'mint_unreachable' } },
  secretRejected: { kind: 'refused', reason: 'secret_rejected', error: { code: 'mint_secret_rejected' } },
  quota: { kind: 'refused', reason: 'quota_exhausted', error: { code: 'mint_quota_exhausted' } },
  timeout: { kind: 'unknown', error: { code: 'mint_timeout' } },
  status500: { kind: 'unknown', error: { code: 'mint_status', status: 500 } },
} as const satisfies Record<string, MintOutcome>

/** Drives the machine by hand: time moves when a test says so, and each step's actions are kept. */
export class MachineDriver {
  state: TokenState
  readonly policy: TokenPolicy
  /** The last step's actions, without what is only counted or told. */
  actions: readonly Action[] = []
  /** Everything told so far: names of log events, counted outcomes and foreign mints. */
  readonly told: string[] = []
  readonly instant: { -readonly [K in keyof Instant]: Instant[K] } = {
    now: NOON,
    mono: 0,
    random: 0.5,
    acceptedSentAt: -1,
    unreplayableInFlight: 0,
    storePollMs: 5_000,
  }

  constructor(state: Partial<TokenState> = {}, over: Partial<TokenPolicy> = {}) {
    this.state = { ...initialState, ...state }
    this.policy = { ...policy, ...over }
  }

  on(event: TokenEvent): string[] {
    const { state, actions } = step(this.state, event, this.instant, this.policy)
    this.state = state
    for (const action of actions) {
      if (action.do === 'tell') this.told.push(action.event)
      if (action.do === 'tally') this.told.push(action.outcome)
      if (action.do === 'foreign') this.told.push('foreign')
    }
    this.actions = actions.filter(({ do: name }) => !['tell', 'tally', 'foreign'].includes(name))
    return this.actions.map(({ do: name }) => name)
  }

  tick(): string[] {
    return this.on({ kind: 'tick' })
  }

  /** Both clocks go on; nothing happens by itself. */
  wait(ms: number): this {
    this.instant.mono += ms
    this.instant.now += ms
    return this
  }

  rejected(sentAt = this.instant.mono): string[] {
    return this.on({ kind: 'rejected', sentAt, isReplay: false })
  }

  accepted(sentAt = this.instant.mono): this {
    this.instant.acceptedSentAt = sentAt
    return this
  }

  /** A read under way is answered with what the entry holds. */
  read(token: Token | null = this.state.token, over: Partial<StoredState> = {}): string[] {
    return this.on({ kind: 'read', state: stored(token, over) })
  }

  /** From a read under way to the request to the token API. */
  toMint(token: Token | null = this.state.token, count = 1): string[] {
    const requests = { day: TODAY, count: count - 1 }
    this.read(token, { requests })
    this.on({ kind: 'leased', state: stored(token, { requests }) })
    const actions = this.on({ kind: 'begun', count })
    return this.state.phase.kind === 'draining' ? this.wait(DRAIN_MS).tick() : actions
  }

  mintEnds(outcome: MintOutcome): string[] {
    const held = this.state.token
    const actions = this.on({ kind: 'mint_ended', outcome })
    if (this.state.token !== held) this.instant.acceptedSentAt = -1
    return actions
  }

  /** Mints, however it was set off, and publishes. */
  toNewToken(value: string, over: Partial<{ validTill: number | null; mintedAt: number }> = {}): void {
    this.toMint()
    this.mintEnds(minted(value, { mintedAt: this.instant.now, ...over }))
    this.on({ kind: 'published', accepted: true })
  }
}

/** A machine that holds a token it has read from the store. */
export function holding(token: Token = tokenOf(1), over: Partial<TokenPolicy> = {}): MachineDriver {
  const machine = new MachineDriver({}, over)
  machine.tick()
  machine.read(token)
  machine.wait(250)
  return machine
}
