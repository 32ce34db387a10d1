import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { DailyRequests, MintLease, StoredState, TokenStore } from '../token/store.ts'
import type { Token } from '../token/token.ts'
import type { Entry, EntryMedium, Lease } from './entry.ts'
import type { Sealer } from './seal.ts'
import { StoreError } from './store-error.ts'

/** Where a medium does not say otherwise. */
const POLL_MS = 5_000
const DAY_MS = 24 * 60 * 60_000

/** `TokenStore` over any medium that can change an entry atomically. */
export class EntryTokenStore implements TokenStore {
  readonly kind: string
  readonly #medium: EntryMedium
  readonly #sealer: Sealer
  readonly #clock: Clock
  readonly #holder: string
  /** Another holder's lease, and when this process first saw it (monotonic ms). */
  #observed: { readonly lease: Lease; readonly at: number } | null = null
  /** Of the last lease got here. Epochs go on from it when the entry was lost, so that no two leases look alike. */
  #epoch = 0

  /**
   * `holder` names this process among all that share the entry, and differs at each start: what an earlier life of this
   * process had sent may still be on its way, so its lease has to run out like anybody's.
   */
  constructor(medium: EntryMedium, sealer: Sealer, clock: Clock, holder: string) {
    this.kind = medium.kind
    this.#medium = medium
    this.#sealer = sealer
    this.#clock = clock
    this.#holder = holder
  }

  get pollMs(): number {
    return this.#medium.pollMs ?? POLL_MS
  }

  async read(signal: AbortSignal): Promise<StoredState> {
    signal.throwIfAborted()
    return this.#state(await abortable(this.#medium.read(this.#sealer.entryKey, signal), signal))
  }

  watch(changed: () => void): () => void {
    return this.#medium.watch(this.#sealer.entryKey, changed)
  }

  async acquire(leaseMs: number, signal: AbortSignal): Promise<MintLease | null> {
    const entry = await this.#update(signal, (found) => {
      if (this.#heldByAnother(found)) return null
      const epoch = Math.max(found.epoch, this.#epoch) + 1
      const lease = { holder: this.#holder, epoch, durationMs: Math.ceil(leaseMs), announced: false }
      return { ...found, epoch, lease }
    })
    if (entry.lease?.holder !== this.#holder) return null
    this.#epoch = entry.lease.epoch
    return this.#lease(entry.lease.epoch, this.#state(entry))
  }

  async offer(token: Token, signal: AbortSignal): Promise<StoredState> {
    const entry = await this.#update(signal, (found) =>
      found.generation < token.generation ? this.#withToken(found, token) : null,
    )
    return this.#state(entry)
  }

  /** The medium is shared by all credentials and closed by who opened it. */
  async close(): Promise<void> {}

  #lease(epoch: number, state: StoredState): MintLease {
    const holds = (entry: Entry) => entry.lease?.holder === this.#holder && entry.lease.epoch === epoch
    return {
      state,
      begin: async (day, signal) => {
        const entry = await this.#update(signal, (found) => {
          if (!holds(found) || found.lease === null) return null
          return {
            ...found,
            requests: oneMore(found.requests, day),
            lease: { ...found.lease, announced: true },
          }
        })
        if (!holds(entry))
          throw new StoreError('lease_lost', 'another process has taken over the right to mint')
        return entry.requests.count
      },
      publish: async (token, signal) => {
        let published = false
        await this.#update(signal, (found) => {
          published = holds(found)
          if (!published) return null
          // An offer may have come in between. What was minted since the lease began has revoked what was offered.
          const generation = Math.max(token.generation, found.generation + 1)
          return { ...this.#withToken(found, { ...token, generation }), lease: null }
        })
        return published
      },
      release: async (signal) => {
        await this.#update(signal, (found) => (holds(found) ? { ...found, lease: null } : null))
      },
    }
  }

  async #update(signal: AbortSignal, change: (entry: Entry) => Entry | null): Promise<Entry> {
    signal.throwIfAborted()
    return abortable(this.#medium.update(this.#sealer.entryKey, change, signal), signal)
  }

  #withToken(entry: Entry, token: Token): Entry {
    const kept = onOtherClock(token, this.#medium.clockOffsetMs ?? 0)
    return { ...entry, generation: token.generation, sealed: this.#sealer.seal(kept) }
  }

  #state(entry: Entry): StoredState {
    const kept = entry.sealed === '' ? null : this.#sealer.open(entry.sealed, entry.generation)
    return {
      token: kept === null ? null : onOtherClock(kept, -(this.#medium.clockOffsetMs ?? 0)),
      requests: entry.requests,
      rotating: this.#heldByAnother(entry) && entry.lease?.announced === true,
    }
  }

  /** A lease lasts until it has been seen unchanged for its duration by our own clock: no host's timestamps are compared. */
  #heldByAnother(entry: Entry): boolean {
    const { lease } = entry
    if (lease === null || lease.holder === this.#holder) return false
    const now = this.#clock.monotonic()
    if (this.#observed?.lease.holder !== lease.holder || this.#observed.lease.epoch !== lease.epoch) {
      this.#observed = { lease, at: now }
    }
    return now - this.#observed.at < lease.durationMs
  }
}

/** The token's instants on a clock that is `aheadMs` ahead. */
function onOtherClock(token: Token, aheadMs: number): Token {
  if (aheadMs === 0) return token
  const validTill = token.validTill === null ? null : token.validTill + aheadMs
  return { ...token, validTill, mintedAt: token.mintedAt + aheadMs }
}

/**
 * A replica whose clock is a little behind counts for the day the others are in already, and does not start the old one
 * anew. A day further ahead is a wrong clock's and is given up, or the count would never be reset again.
 */
function oneMore(counted: DailyRequests, day: string): DailyRequests {
  const aheadMs = Date.parse(counted.day) - Date.parse(day)
  return aheadMs === 0 || aheadMs === DAY_MS
    ? { day: counted.day, count: counted.count + 1 }
    : { day, count: 1 }
}
