import { Secret } from '../../proxy/lib/secret.ts'
import type { Entry } from '../../proxy/stores/entry.ts'
import { MemoryMedium } from '../../proxy/stores/memory.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import type { SecretParts } from '../../proxy/token/effects.ts'
import { TokenManager } from '../../proxy/token/manager.ts'
import type { MintOutcome } from '../../proxy/token/minter.ts'
import type { HeldToken, Waiting } from '../../proxy/token/source.ts'
import type { TokenPolicy } from '../../proxy/token/state.ts'
import type { TokenStore } from '../../proxy/token/store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { minted, policy, SECOND } from './machine-driver.ts'

export const TOKEN_URL = new URL('https://api.test/token')

/** A token API that answers when the test says so, or by `answer` at once. */
export class ScriptedMinter {
  readonly #waiting: ((outcome: MintOutcome) => void)[] = []
  sent = 0
  warmed = 0
  answer: (() => MintOutcome) | null = null

  warm(): void {
    this.warmed++
  }

  mint(): Promise<MintOutcome> {
    this.sent++
    if (this.answer !== null) return Promise.resolve(this.answer())
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Answers the request sent first of those that have no answer. */
  answers(outcome: MintOutcome): void {
    const resolve = this.#waiting.shift()
    if (resolve === undefined) throw new Error('no request is under way')
    resolve(outcome)
  }
}

/** A memory store that can be cut off, and one of whose operations can be held back. */
export class FaultyMedium extends MemoryMedium {
  down: false | 'all' | 'writes' = false
  /** Nothing is answered. */
  hanging = false
  #countdown = 0
  #arrived: (open: () => void) => void = () => {}

  /** Holds back the operation with this number, counted from now; resolves, when it is there, to what lets it go on. */
  holdBack(number: number): Promise<() => void> {
    this.#countdown = number
    return new Promise((resolve) => {
      this.#arrived = resolve
    })
  }

  override async read(key: string): Promise<Entry> {
    await this.#turn()
    if (this.down === 'all') throw new Error('the store is down')
    return super.read(key)
  }

  override async update(key: string, change: (entry: Entry) => Entry | null): Promise<Entry> {
    await this.#turn()
    if (this.down !== false) throw new Error('the store is down')
    return super.update(key, change)
  }

  async #turn(): Promise<void> {
    if (this.hanging) await new Promise(() => {})
    if (this.#countdown > 0 && --this.#countdown === 0) await new Promise<void>((open) => this.#arrived(open))
  }
}

/** One manager over a fake clock, a scripted token API and a memory store that others may share. */
export class Scene {
  readonly clock: FakeClock
  readonly medium: FaultyMedium
  readonly minter = new ScriptedMinter()
  readonly store: TokenStore
  readonly manager: TokenManager
  readonly events: string[] = []
  #ticking = true

  constructor(
    over: { policy?: Partial<TokenPolicy>; medium?: FaultyMedium; clock?: FakeClock; id?: string } = {},
  ) {
    this.clock = over.clock ?? new FakeClock()
    this.medium = over.medium ?? new FaultyMedium()
    this.store = this.partsFor('the secret', over.id ?? 'this').store
    const note = (event: string) => void this.events.push(event)
    this.manager = new TokenManager({
      name: 'default',
      policy: { ...policy, ...over.policy },
      clock: this.clock,
      random: () => 0.5,
      log: { debug: note, info: note, warn: note, error: note },
      minter: this.minter,
      store: this.store,
    })
  }

  partsFor(secret: string, id = 'this'): SecretParts & { readonly minter: ScriptedMinter } {
    const sealer = createSealer(new Secret(secret), TOKEN_URL)
    return {
      minter: new ScriptedMinter(),
      store: new EntryTokenStore(this.medium, sealer, this.clock, id),
    }
  }

  /** Starts the manager and its tick, which ends with `stop()`. */
  async start(): Promise<this> {
    this.manager.start()
    const tick = () => {
      if (!this.#ticking) return
      this.manager.tick()
      this.clock.after(SECOND, tick)
    }
    this.clock.after(SECOND, tick)
    await this.clock.advance(0)
    return this
  }

  /** Starts with a token that lives an hour, minted at once. */
  async startHolding(validTill: number | null = this.clock.now() + 3_600_000): Promise<HeldToken> {
    await this.start()
    this.minter.answers(minted('token-1', { validTill, mintedAt: this.clock.now() }))
    await this.clock.advance(SECOND)
    const held = this.manager.peek(true)
    if (held === null) throw new Error('no token is held')
    return held
  }

  /** Stops the tick, as the app does first, then the manager. */
  stop(): Promise<void> {
    this.#ticking = false
    return this.manager.stop()
  }

  waiting(over: Partial<Waiting> = {}): Waiting {
    return { replayable: true, signal: new AbortController().signal, ...over }
  }
}

/** Tells, at any time, how a promise stands. */
export function watched<T>(promise: Promise<T>): {
  state: 'pending' | 'resolved' | 'rejected'
  value?: T
  error?: unknown
} {
  const seen: ReturnType<typeof watched<T>> = { state: 'pending' }
  promise.then(
    (value) => Object.assign(seen, { state: 'resolved', value }),
    (error: unknown) => Object.assign(seen, { state: 'rejected', error }),
  )
  return seen
}
