import type { Token } from './token.ts'

/** What a store holds for one client secret. */
export interface StoredState {
  /** The newest token published, or null. Its times are on this process's clock; the engine translates. */
  readonly token: Token | null
  /** Requests to the token API counted for one UTC day (`2026-11-22`), by all replicas together. */
  readonly requests: DailyRequests
  /** Another process has announced a rotation (`MintLease.begin`) and neither ended it nor let its lease run out. */
  readonly rotating: boolean
}

export interface DailyRequests {
  readonly day: string
  readonly count: number
}

/**
 * One entry, for one client secret, shared by every process that holds the secret. The entry's key is derived from the
 * secret, and the token in it is sealed with it, so two secrets never fight over one entry and a copied store tells nothing.
 *
 * Every operation is bounded to about a second and rejects (any error) when the store cannot be reached; a caller then
 * knows nothing and must not mint. Reads may be slightly old; `acquire` never is.
 */
export interface TokenStore {
  /** `memory`, `file`, `redis`, `kubernetes`. */
  readonly kind: string
  /** Least time between two looks at the store while nothing happens, ms. Longer while hints cannot get lost unnoticed. */
  readonly pollMs: number
  read(signal: AbortSignal): Promise<StoredState>
  /**
   * Calls `changed` when the entry may have changed: a new token, an announcement. Hints only: they may be lost, late or
   * doubled, so a reader polls as well. Returns what ends it.
   */
  watch(changed: () => void): () => void
  /**
   * Asks for the right to mint, for `leaseMs`. Resolves to null while another process has it. An abandoned lease is judged
   * by local observation, never by another host's timestamps: it is free once this process has seen the same lease
   * unchanged for its whole duration. A process that asks again supersedes its own earlier lease.
   */
  acquire(leaseMs: number, signal: AbortSignal): Promise<MintLease | null>
  /**
   * Publishes without a lease: the retry of a write that failed, or after the store lost data. Takes effect only when the
   * entry's generation is lower than the token's; resolves to what the entry holds afterwards.
   */
  offer(token: Token, signal: AbortSignal): Promise<StoredState>
  close(): Promise<void>
}

/**
 * The right to mint. It is not a fence: the token API checks none, so a request that is still being processed when the
 * lease ends could revoke a successor's token. Hence the lease outlives mint deadline, quarantine and publishing together,
 * and it is released early only after a definite outcome; after an unknown one it is left to run out.
 */
export interface MintLease {
  /** The entry as it was when the lease was obtained: read it again before minting. */
  readonly state: StoredState
  /**
   * Counts one request to the token API for the UTC day and announces the rotation, so that the others hold new calls.
   * Resolves to the day's requests, this one included. Rejects when the lease was taken over.
   */
  begin(day: string, signal: AbortSignal): Promise<number>
  /**
   * Publishes the token on condition that the lease is still held, ends announcement and lease. Resolves to false, and
   * changes nothing, when another process has taken over since. A generation that was reached by an `offer` meanwhile is
   * stepped over: the entry then holds the token under a higher one than it was given.
   */
  publish(token: Token, signal: AbortSignal): Promise<boolean>
  /** Ends announcement and lease early. Harmless when the lease is no longer held. */
  release(signal: AbortSignal): Promise<void>
}
