import type { ProblemCode } from '../lib/errors.ts'

/** State of one credential as people see it (contract: `/status`). */
export type CredentialState = 'starting' | 'fresh' | 'rotating' | 'suspect' | 'backing_off' | 'rejected'

/** How attempts to get a token ended; the `outcome` label of `mints_total`. */
export type MintTally = Record<'minted' | 'adopted' | 'rejected' | 'quota' | 'error' | 'unknown', number>

/** Upper bounds of the mint duration histogram, seconds. The last bucket is +Inf. */
export const MINT_DURATION_BOUNDS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Why a new token is wanted. `asked` comes from a person and is the only one that no pause or budget stops. */
export type MintReason =
  | 'asked'
  | 'secret_changed'
  | 'missing'
  | 'unknown_outcome'
  | 'rejected'
  | 'refresh'
  | 'scheduled'

/** One attempt to get a token that has ended. Never holds the token. */
export interface RecentMint {
  /** When it ended, epoch ms. */
  readonly at: number
  readonly outcome: keyof MintTally
  /** Null for a token that was adopted: nothing was asked for. */
  readonly reason: MintReason | null
  /** How long the token API took; null for a token that was adopted. */
  readonly durationMs: number | null
  /** Of the token it brought; null when it brought none. */
  readonly generation: number | null
  readonly fingerprint: string | null
  readonly error: { readonly code: string; readonly errorId: string | null } | null
}

/** A snapshot of one credential; instants are epoch ms. Never holds the token or the secret. */
export interface CredentialStatus {
  readonly name: string
  readonly state: CredentialState
  /** A token that may be put on calls is held. */
  readonly usable: boolean
  /** What calls are told when no such token comes in time; null while one is held. */
  readonly lack: ProblemCode | null
  readonly generation: number
  readonly fingerprint: string | null
  readonly mintedAt: number | null
  /** Null also for a token that never expires: tell by `generation`. */
  readonly validTill: number | null
  readonly nextRefreshAt: number | null
  readonly lastError: { readonly code: string; readonly at: number; readonly errorId: string | null } | null
  readonly mints: {
    /** Requests this process sent to the token API. */
    readonly total: number
    readonly failed: number
    /** Requests of this UTC day as the store counts them: all replicas, restarts included. */
    readonly today: number
    readonly budget: number
    readonly outcomes: Readonly<MintTally>
    /** Counts for each of MINT_DURATION_BOUNDS_S and +Inf, not cumulated. */
    readonly durationCounts: readonly number[]
    readonly durationSumS: number
    /** The last attempts since the process started, newest first. */
    readonly recent: readonly RecentMint[]
  }
  readonly foreignMints: number
  readonly store: { readonly kind: string; readonly healthy: boolean; readonly errors: number }
}
