import { ProblemError } from '../../../proxy/lib/errors.ts'
import { silentLog } from '../../../proxy/lib/log.ts'
import { Secret } from '../../../proxy/lib/secret.ts'
import type { Entry } from '../../../proxy/stores/entry.ts'
import { MemoryMedium } from '../../../proxy/stores/memory.ts'
import { createSealer } from '../../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../../proxy/stores/token-store.ts'
import { TokenManager } from '../../../proxy/token/manager.ts'
import type { HeldToken } from '../../../proxy/token/source.ts'
import type { TokenPolicy } from '../../../proxy/token/state.ts'
import { isUsable } from '../../../proxy/token/token.ts'
import { TOKEN_URL } from '../scene.ts'
import { TokenApi } from './token-api.ts'
import { ProcessClock, World } from './world.ts'

/** What a call asks for. `bad`: an endpoint that answers 401 whatever the token. */
export interface CallPlan {
  readonly replayable: boolean
  readonly endpoint: 'good' | 'bad'
  /** On its way to where the token is judged, and back. */
  readonly thereMs: number
  readonly backMs: number
  /** The caller leaves after this time. */
  readonly patienceMs: number
}

export const plainCall: CallPlan = {
  replayable: true,
  endpoint: 'good',
  thereMs: 10,
  backMs: 10,
  patienceMs: Number.POSITIVE_INFINITY,
}

/** How a call ended: `accepted`, `rejected` (the API's own answer was passed on), `left`, or the code of a problem. */
export interface CallRecord {
  readonly plan: CallPlan
  readonly at: number
  readonly end: string
  readonly rejections: number
}

export type StoreFault = 'none' | 'down' | 'writes-fail' | 'answers-lost'

export interface FleetOptions {
  readonly size: number
  readonly policy: TokenPolicy
  readonly lifeMs: number | null
  readonly startsAt: number
  /** Uniform in [0, 1); one source for all, so that a run can be repeated. */
  readonly random: () => number
  readonly tickMs?: number
}

interface Replica {
  readonly clock: ProcessClock
  readonly manager: TokenManager
  readonly cancelTick: () => void
}

/** Some sidecars with one secret and one store, the APIs they talk to, and notes of everything that must not happen. */
export class Fleet {
  readonly world: World
  readonly api: TokenApi
  readonly faults: string[]
  readonly calls: CallRecord[] = []
  /** Reasons of all mints that succeeded, with their instants. */
  readonly minted: { readonly reason: string; readonly at: number }[] = []
  storeFault: StoreFault = 'none'
  storeDelayMs = 0
  hintsLost = false
  readonly #options: FleetOptions
  readonly #medium = new MemoryMedium()
  readonly #replicas: Replica[] = []
  /** Calls that wait for a token, by the process they wait in. */
  readonly #waits = new Map<ProcessClock, number>()
  #started = 0
  #highest = 0

  constructor(options: FleetOptions) {
    this.#options = options
    this.world = new World(options.startsAt)
    this.api = new TokenApi(this.world, options.lifeMs, options.policy.mintQuarantineMs)
    this.faults = this.api.faults
  }

  get managers(): readonly TokenManager[] {
    return this.#replicas.map(({ manager }) => manager)
  }

  get size(): number {
    return this.#options.size
  }

  clockOf(index: number): ProcessClock {
    return this.#at(index).clock
  }

  managerOf(index: number): TokenManager {
    return this.#at(index).manager
  }

  rotate(index: number): void {
    this.managerOf(index)
      .rotate(new AbortController().signal)
      .catch(() => {})
  }

  start(offsets: readonly number[] = []): void {
    for (let index = 0; index < this.#options.size; index++) this.#start(index, offsets[index] ?? 0)
  }

  /** The process dies where it stands, and another takes its place, with the clock of the same host. */
  restart(index: number): void {
    const { clock } = this.#at(index)
    clock.kill()
    this.#start(index % this.#replicas.length, clock.offset)
  }

  /** Stops all managers as the app does, the tick first, and notes what they leave behind. */
  async stop(): Promise<void> {
    let running = this.#replicas.length
    for (const { manager, cancelTick } of this.#replicas) {
      cancelTick()
      manager.stop().then(() => running--)
    }
    await this.world.pass(60_000)
    if (running > 0) this.faults.push('a manager did not stop within a minute')
    for (const { clock } of this.#replicas) {
      if (clock.pending > 0) this.faults.push(`${clock.pending} timers left behind`)
      const waiting = this.#waits.get(clock) ?? 0
      if (waiting > 0) this.faults.push(`${waiting} calls left waiting`)
    }
  }

  /** One call by way of one replica; it comes when the process does anything at all, and is noted when it ends. */
  call(index: number, plan: CallPlan): void {
    const replica = this.#at(index)
    replica.clock.deliver(() => this.#call(replica, plan))
  }

  #call(replica: Replica, plan: CallPlan): void {
    const at = this.world.time
    let rejections = 0
    const caller = new AbortController()
    if (Number.isFinite(plan.patienceMs))
      this.world.in(plan.patienceMs, () => replica.clock.deliver(() => caller.abort(new Error('left'))))
    const end = (how: string) => this.calls.push({ plan, at, end: how, rejections })

    const run = async (): Promise<string> => {
      const { manager } = replica
      const waiting = { replayable: plan.replayable, signal: caller.signal }
      const first = manager.peek(plan.replayable) ?? (await this.#inTime(replica, manager.current(waiting)))
      const sentAt = await this.#send(replica, first, plan)
      if (sentAt === 'accepted') return 'accepted'
      rejections++
      let rejected = first
      let rejectedSentAt = sentAt
      for (let replays = 0; ; replays++) {
        const replayable = plan.replayable && replays < 2
        const about = { ...waiting, replayable, isReplay: replays > 0 }
        const replacement = await this.#inTime(replica, manager.replace(rejected, rejectedSentAt, about))
        if (replacement === null || !replayable) return 'rejected'
        const again = await this.#send(replica, replacement, plan)
        if (again === 'accepted') {
          manager.replayAccepted(rejected)
          return 'accepted'
        }
        rejections++
        rejected = replacement
        rejectedSentAt = again
      }
    }
    run().then(end, (error: unknown) => {
      if (error instanceof ProblemError) end(error.code)
      else if (caller.signal.aborted) end('left')
      else this.faults.push(`a call failed: ${error}`)
    })
  }

  /** Resolves to `accepted`, or to when the call was sent, by the replica's monotonic clock. */
  async #send({ clock }: Replica, token: HeldToken, plan: CallPlan): Promise<'accepted' | number> {
    if (!isUsable(token, clock.now())) this.faults.push('an expired token was handed out')
    const sentAt = clock.monotonic()
    token.inFlight++
    if (!plan.replayable) token.unreplayableInFlight++
    let accepted = false
    this.world.in(plan.thereMs, () => {
      accepted = plan.endpoint === 'good' && this.api.accepts(token.value.reveal())
    })
    await new Promise<void>((resolve) =>
      this.world.in(plan.thereMs + plan.backMs, () => clock.deliver(resolve)),
    )
    token.inFlight--
    if (!plan.replayable) token.unreplayableInFlight--
    if (!accepted) return sentAt
    token.acceptedSentAt = Math.max(token.acceptedSentAt, sentAt)
    return 'accepted'
  }

  /** Notes a wait that lasted longer than HOLD_TIMEOUT and a tick. */
  async #inTime<T>({ clock }: Replica, wait: Promise<T>): Promise<T> {
    const since = clock.ranMs()
    this.#waits.set(clock, (this.#waits.get(clock) ?? 0) + 1)
    try {
      return await wait
    } finally {
      this.#waits.set(clock, (this.#waits.get(clock) ?? 0) - 1)
      if (clock.ranMs() - since > this.#options.policy.holdTimeoutMs + 1_001)
        this.faults.push('a wait ended late')
    }
  }

  #start(index: number, offset: number): void {
    const { policy, random, tickMs = 1_000 } = this.#options
    const clock = new ProcessClock(this.world, offset)
    const sealer = createSealer(new Secret('the secret'), TOKEN_URL)
    const manager = new TokenManager({
      name: `replica-${index}`,
      policy,
      clock,
      random,
      log: { ...silentLog, info: (event, fields) => this.#note(event, fields) },
      minter: this.api.minterOf(clock, policy.mintTimeoutMs),
      store: new EntryTokenStore(this.#mediumOf(clock), sealer, clock, `process-${this.#started++}`),
    })
    const tick = () => {
      manager.tick()
      cancelTick = clock.after(tickMs, tick)
    }
    let cancelTick = clock.after(tickMs * random(), tick)
    this.#replicas[index] = { clock, manager, cancelTick: () => cancelTick() }
    manager.start()
  }

  #note(event: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    if (event === 'token_minted')
      this.minted.push({ reason: String(fields?.['reason']), at: this.world.time })
  }

  /** The shared store as one process reaches it. */
  #mediumOf(clock: ProcessClock) {
    const medium = this.#medium
    const reach = async <T>(writes: boolean, work: () => Promise<T>): Promise<T> => {
      await this.#storeTurn(clock)
      const fault = this.storeFault
      if (fault === 'down' || (fault === 'writes-fail' && writes)) throw new Error('the store is down')
      const result = await work()
      await this.#storeTurn(clock)
      if (fault === 'answers-lost') throw new Error('the store’s answer was lost')
      return result
    }
    return {
      kind: 'memory',
      read: (key: string) => reach(false, () => medium.read(key)),
      update: (key: string, change: (entry: Entry) => Entry | null) =>
        reach(true, () =>
          medium.update(key, (found) => {
            const changed = change(found)
            if (changed !== null && changed.generation < this.#highest)
              this.faults.push(`the store went back to generation ${changed.generation}`)
            this.#highest = Math.max(this.#highest, changed?.generation ?? 0)
            return changed
          }),
        ),
      watch: (key: string, changed: () => void) =>
        medium.watch(key, () => {
          if (!this.hintsLost) clock.deliver(changed)
        }),
      close: async () => {},
    }
  }

  #storeTurn(clock: ProcessClock): Promise<void> | undefined {
    return this.storeDelayMs === 0 ? undefined : clock.sleep(this.storeDelayMs / 2)
  }

  #at(index: number): Replica {
    const replica = this.#replicas[index % this.#replicas.length]
    if (replica === undefined) throw new Error('the fleet has not started')
    return replica
  }
}
