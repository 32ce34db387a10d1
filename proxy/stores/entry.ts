import type { DailyRequests } from '../token/store.ts'

/** What a store keeps for one client secret: token and right to mint in one object, so that one compare-and-set covers both. */
export interface Entry {
  readonly generation: number
  /** See `Sealer`; empty before the first token. */
  readonly sealed: string
  readonly requests: DailyRequests
  /** Counts the leases given, so that two of one holder differ. */
  readonly epoch: number
  readonly lease: Lease | null
}

export interface Lease {
  readonly holder: string
  readonly epoch: number
  readonly durationMs: number
  /** A request to the token API is about to be sent, or was. */
  readonly announced: boolean
}

export const emptyEntry: Entry = {
  generation: 0,
  sealed: '',
  requests: { day: '', count: 0 },
  epoch: 0,
  lease: null,
}

/**
 * Where entries are kept. All that differs between engines; what an entry means is written once, in `EntryTokenStore`.
 * Operations reject when the medium cannot be reached.
 */
export interface EntryMedium {
  readonly kind: string
  /**
   * How far the medium's own clock was ahead of ours at the last operation, ms; absent for one that has none of its own.
   * Instants are kept by that clock, so replicas whose clocks disagree still agree on when a token ends.
   */
  readonly clockOffsetMs?: number
  /** See `TokenStore.pollMs`; absent: a usual one. */
  readonly pollMs?: number
  read(key: string, signal: AbortSignal): Promise<Entry>
  /**
   * Replaces the entry by what `change` makes of it, atomically: nobody else's change falls in between. `change` may be
   * called again after a conflict; null leaves the entry as it is. Resolves to the entry as it is afterwards.
   */
  update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry>
  /** See `TokenStore.watch`. */
  watch(key: string, changed: () => void): () => void
  close(): Promise<void>
}

/** Counts go up by one; one beyond this is damage, and its successors could not be told apart any more. */
const LARGEST_COUNT = 2 ** 48
/** Longer than any settings make it: nobody is to wait out a damaged one. */
const LONGEST_LEASE_MS = 49 * 24 * 60 * 60_000

/** Reads an entry from JSON written by this or another version; null when it is not one. */
export function parseEntry(json: unknown): Entry | null {
  if (typeof json !== 'object' || json === null) return null
  const { generation, sealed, requests, epoch, lease } = json as Record<string, unknown>
  if (!isCount(generation) || typeof sealed !== 'string' || !isCount(epoch)) return null
  const { day, count } = (requests ?? {}) as Record<string, unknown>
  if (typeof day !== 'string' || !isCount(count)) return null
  return { generation, sealed, requests: { day, count }, epoch, lease: parseLease(lease) }
}

function parseLease(json: unknown): Lease | null {
  const { holder, epoch, durationMs, announced } = (json ?? {}) as Record<string, unknown>
  if (typeof holder !== 'string' || !isCount(epoch) || !isCount(durationMs)) return null
  if (durationMs > LONGEST_LEASE_MS) return null
  return { holder, epoch, durationMs, announced: announced === true }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_COUNT
}
