import type { Clock } from '../lib/clock.ts'
import type { MintLease, StoredState, TokenStore } from '../token/store.ts'
import type { Token } from '../token/token.ts'
import type { Entry, EntryMedium, Lease } from './entry.ts'
import type { Sealer } from './seal.ts'

/** `TokenStore` over any medium that can change an entry atomically. */
export class EntryTokenStore implements TokenStore {
  readonly kind: string
  readonly #medium: EntryMedium
  readonly #sealer: Sealer
  readonly #clock: Clock
  readonly #holder: string
  /** Another holder's lease, and when this process first saw it (monotonic ms). */
  #observed: { readonly lease: Lease; readonly at: number } | null = null

  /** `holder` names this process among all that share the entry. */
  constructor(medium: EntryMedium, sealer: Sealer, clock: Clock, holder: string) {
    this.kind = medium.kind
    this.#medium = medium
    this.#sealer = sealer
    this.#clock = clock
    this.#holder = holder
  }

  async read(signal: AbortSignal): Promise<StoredState> {
    return this.#state(await this.#medium.read(this.#sealer.entryKey, signal))
  }

  watch(changed: () => void): () => void {
    return this.#medium.watch(this.#sealer.entryKey, changed)
  }

  async acquire(leaseMs: number, signal: AbortSignal): Promise<MintLease | null> {
    const entry = await this.#update(signal, (found) => {
      if (this.#heldByAnother(found)) return null
      const epoch = found.epoch + 1
      return {
        ...found,
        epoch,
        lease: { holder: this.#holder, epoch, durationMs: leaseMs, announced: false },
      }
    })
    if (entry.lease?.holder !== this.#holder) return null
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
          const count = (found.requests.day === day ? found.requests.count : 0) + 1
          return { ...found, requests: { day, count }, lease: { ...found.lease, announced: true } }
        })
        if (!holds(entry)) throw new Error('the lease was taken over')
        return entry.requests.count
      },
      publish: async (token, signal) => {
        let published = false
        await this.#update(signal, (found) => {
          published = holds(found)
          return published ? { ...this.#withToken(found, token), lease: null } : null
        })
        return published
      },
      release: async (signal) => {
        await this.#update(signal, (found) => (holds(found) ? { ...found, lease: null } : null))
      },
    }
  }

  #update(signal: AbortSignal, change: (entry: Entry) => Entry | null): Promise<Entry> {
    return this.#medium.update(this.#sealer.entryKey, change, signal)
  }

  #withToken(entry: Entry, token: Token): Entry {
    return { ...entry, generation: token.generation, sealed: this.#sealer.seal(token) }
  }

  #state(entry: Entry): StoredState {
    return {
      token: entry.sealed === '' ? null : this.#sealer.open(entry.sealed, entry.generation),
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
