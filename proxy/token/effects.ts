import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { MintRecord } from './mint-record.ts'
import type { MintOutcome, TokenMinter } from './minter.ts'
import type { Action, TokenEvent } from './state.ts'
import type { MintLease, TokenStore } from './store.ts'

/** Where one client secret's token comes from and where it is kept. */
export interface SecretParts {
  readonly minter: TokenMinter
  readonly store: TokenStore
}

export interface EffectsParts extends SecretParts {
  /** Name of the credential, for logs. */
  readonly name: string
  readonly leaseMs: number
  readonly clock: Clock
  readonly log: Log
  readonly record: MintRecord
  /** Takes the event that each store or mint action ends in. */
  readonly emit: (event: TokenEvent) => void
}

const STORE_TIMEOUT_MS = 1_500

type StoreAction = 'read' | 'acquire' | 'begin' | 'publish' | 'offer'

/** Carries out the state machine's actions: the only part that touches store and token API. */
export class Effects {
  readonly #parts: EffectsParts
  readonly #closed = new AbortController()
  #secret: SecretParts
  #lease: MintLease | null = null
  #unwatch: () => void = () => {}

  constructor(parts: EffectsParts) {
    this.#parts = parts
    this.#secret = parts
  }

  get storeKind(): string {
    return this.#secret.store.kind
  }

  watch(): void {
    this.#unwatch = this.#secret.store.watch(() => this.#parts.emit({ kind: 'store_changed' }))
  }

  /** Goes over to another secret's entry and minter. Only between attempts, or an answer would be taken for the wrong secret's. */
  changeSecret(next: SecretParts): void {
    const old = this.#secret
    this.#lease = null
    this.#secret = next
    this.#unwatch()
    this.watch()
    old.store.close().catch((error) => this.#parts.log.debug('store_close_failed', { error }))
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.#unwatch()
    await this.#secret.store.close()
  }

  perform(action: Action): void {
    const { log, name, leaseMs, record } = this.#parts
    const { store } = this.#secret
    switch (action.do) {
      case 'read':
        this.#ask('read', async (signal) => ({ kind: 'read', state: await store.read(signal) }))
        break
      case 'acquire':
        this.#ask('acquire', async (signal) => {
          const lease = await store.acquire(leaseMs, signal)
          if (signal.aborted) {
            // Granted too late to be used: in the place of a newer lease it would have that one's token refused.
            this.#giveBack(lease)
            signal.throwIfAborted()
          }
          this.#lease = lease
          return lease === null ? { kind: 'lease_denied' } : { kind: 'leased', state: lease.state }
        })
        break
      case 'begin':
        // Not when the right to mint is asked for: at the start of a fleet all do that, and one gets it.
        this.#secret.minter.warm?.()
        this.#ask('begin', async (signal) => ({
          kind: 'begun',
          count: await this.#held().begin(action.day, signal),
        }))
        break
      case 'mint':
        this.#mint(action.timeoutMs)
        break
      case 'publish':
        this.#ask('publish', async (signal) => ({
          kind: 'published',
          accepted: await this.#held().publish(action.token, signal),
        }))
        break
      case 'offer':
        this.#ask('offer', async (signal) => ({
          kind: 'offered',
          state: await store.offer(action.token, signal),
        }))
        break
      case 'release':
        this.#giveBack(this.#lease)
        this.#lease = null
        break
      case 'tally':
        record.tally(action.outcome)
        break
      case 'foreign':
        record.foreignMint()
        break
      case 'tell':
        log[action.level](action.event, { credential: name, ...action.fields })
        break
    }
  }

  #held(): MintLease {
    if (this.#lease === null) throw new Error('no lease is held')
    return this.#lease
  }

  #mint(timeoutMs: number): void {
    const { clock, record, emit, log, name } = this.#parts
    const sentAt = clock.monotonic()
    // Bound to its own deadline only: what was sent takes effect whoever has left, so its answer is waited for and published.
    const bound = deadline(clock, timeoutMs)
    this.#secret.minter
      .mint(bound.signal)
      .catch((error: unknown): MintOutcome => {
        // A minter does not reject; if one does, nobody knows what it had sent.
        log.error('minter_failed', { credential: name, error })
        return { kind: 'unknown', error: { code: 'mint_internal' } }
      })
      .then((outcome) => {
        bound.clear()
        // Not ours to give back any more: it has to run out, with whatever may still take effect.
        if (outcome.kind === 'unknown') this.#lease = null
        record.mintEnded(outcome.kind === 'minted', (clock.monotonic() - sentAt) / 1_000)
        emit({ kind: 'mint_ended', outcome })
      })
  }

  #giveBack(lease: MintLease | null): void {
    if (lease === null) return
    const { clock, log, name } = this.#parts
    const bound = deadline(clock, STORE_TIMEOUT_MS, this.#closed.signal)
    // A lease that could not be given back runs out by itself.
    abortable(lease.release(bound.signal), bound.signal)
      .catch((error) => log.debug('lease_release_failed', { credential: name, error }))
      .finally(bound.clear)
  }

  #ask(during: StoreAction, work: (signal: AbortSignal) => Promise<TokenEvent>): void {
    const { clock, log, name, record, emit } = this.#parts
    const bound = deadline(clock, STORE_TIMEOUT_MS, this.#closed.signal)
    const secret = this.#secret
    // What an offer to another secret's entry came to is nobody's business any more.
    const isPast = () => this.#closed.signal.aborted || this.#secret !== secret
    abortable(work(bound.signal), bound.signal)
      .then(
        (event) => {
          if (!isPast()) emit(event)
        },
        (error) => {
          if (isPast()) return
          record.storeFailed()
          log.debug('store_failed', { credential: name, store: this.storeKind, during, error })
          emit({ kind: 'store_failed', during, cause: causeOf(error) })
        },
      )
      .finally(bound.clear)
  }
}

/**
 * Why, in a word that is safe to log: the code of the system or the store, else the kind of error. Never the message: it may hold the
 * address of the store, and a password in it.
 */
function causeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown }
  // Numbers are those of DOMException, whose name says more.
  return typeof code === 'string' ? code : String(name)
}
