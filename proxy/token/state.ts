import type { LogFields } from '../lib/log.ts'
import type { MintOutcome } from './minter.ts'
import type { MintReason, MintTally } from './status.ts'
import type { DailyRequests, StoredState } from './store.ts'
import type { Token } from './token.ts'

/** Settings of the token life cycle; times in ms. */
export interface TokenPolicy {
  /** Null: the default of `refreshAt`. */
  readonly refreshLeadMs: number | null
  readonly holdTimeoutMs: number
  readonly rotationHoldMs: number
  readonly mintTimeoutMs: number
  readonly mintQuarantineMs: number
  readonly mintMinIntervalMs: number
  /** Automatic requests to the token API for each UTC day. */
  readonly mintDailyBudget: number
}

/** A point in time by both clocks: neither alone tells how long ago it was (see `elapsedMs`). */
export interface ClockReading {
  /** Wall clock, epoch ms. */
  readonly now: number
  /** Monotonic ms. */
  readonly mono: number
}

/** Everything a step may know of the world: nothing is read from a clock or a generator inside. */
export interface Instant extends ClockReading {
  /** Uniform in [0, 1). */
  readonly random: number
  /** What calls brought back for the token held: see `HeldToken`. */
  readonly acceptedSentAt: number
  readonly unreplayableInFlight: number
  /** `TokenStore.pollMs` as it is now. */
  readonly storePollMs: number
}

/** Where the one attempt to get a newer token stands. Monotonic ms unless said otherwise. */
export type Phase =
  | { readonly kind: 'idle' }
  /** The store is being read: adopt before mint. `again`: it changed meanwhile. */
  | { readonly kind: 'reading'; readonly again: boolean }
  | { readonly kind: 'acquiring'; readonly leaseRequestedAt: ClockReading; readonly again: boolean }
  /** Another process has the right to mint; ask again at `retryAt`, or sooner when the store changes. */
  | { readonly kind: 'waiting'; readonly retryAt: number }
  /** The lease was requested no later than it began. */
  | { readonly kind: 'beginning'; readonly leaseRequestedAt: ClockReading; readonly since: number }
  /** Announced; calls under way may finish with the old token until `until`. */
  | {
      readonly kind: 'draining'
      readonly leaseRequestedAt: ClockReading
      readonly since: number
      readonly until: number
    }
  | { readonly kind: 'minting'; readonly reason: MintReason; readonly since: number; readonly sentAt: number }
  | { readonly kind: 'publishing' }

export interface LastError {
  readonly code: string
  /** Epoch ms. */
  readonly at: number
  readonly errorId: string | null
}

/** The whole state of one credential. Monotonic ms unless said otherwise. */
export interface TokenState {
  readonly token: Token | null
  /** The held token is not this entry's, because the secret changed: any living token stored replaces it. */
  readonly orphan: boolean
  /** Highest generation seen in the entry, so that a number is never given twice. */
  readonly topGeneration: number
  readonly phase: Phase
  readonly asked: boolean
  readonly scheduled: boolean
  /** When the latest rejection of the held token came back; null = no suspicion. */
  readonly rejectedAt: number | null
  /** The same of rejections that no accepted call speaks against: none was sent later. */
  readonly surelyRejectedAt: number | null
  /** When that suspicion arose. */
  readonly suspectSince: number
  /** When the first mint with an unknown outcome ended, while none has succeeded since. */
  readonly unknownSince: number | null
  /** When another process's rotation was noticed. */
  readonly announcedAt: number | null
  /** Somebody of ours may have minted since the token is held, with nothing to show for it: its death would be our own doing. */
  readonly disturbed: boolean
  /** Nobody mints before: a late effect of an unanswered mint could revoke the next token. */
  readonly quietUntil: number
  readonly pause: Pause | null
  readonly failures: number
  readonly secretRejections: number
  readonly requests: DailyRequests
  /** When the latest request to the token API was sent, or another process's was noticed. */
  readonly lastRequestAt: number
  /** Replacements caused by rejections: the last one, and how many in a row did not stop the rejections. */
  readonly rejectionMintAt: number
  readonly rejectionStreak: number
  /** Replaced tokens that had been revoked by somebody else, in a row. */
  readonly foreignStreak: number
  /** The token that was last replaced because it was rejected, until a replay proves it had been dead. */
  readonly replacedByRejection: { readonly generation: number; readonly foreign: boolean } | null
  readonly storeHealthy: boolean
  readonly storeFailures: number
  readonly storeRetryAt: number
  readonly readAt: number
  /** A call was rejected since the store was last asked. */
  readonly readWanted: boolean
  /** The held token is not in the store yet; try again then. */
  readonly offerAt: number | null
  /** It is being offered right now. */
  readonly offering: boolean
  /** Nothing new is begun: what was sent is finished and stored. */
  readonly stopping: boolean
  readonly lastError: LastError | null
}

/** Nothing automatic is sent before it is over. */
export interface Pause {
  readonly until: number
  /** Epoch ms; over then as well, since midnight comes by the wall clock, even to a machine that sleeps through it. */
  readonly untilEpochMs: number | null
  readonly why: 'failed' | 'secret_rejected' | 'quota'
}

/** What can happen to a credential. */
export type TokenEvent =
  | { readonly kind: 'tick' }
  | { readonly kind: 'schedule' }
  | { readonly kind: 'asked' }
  | { readonly kind: 'secret_changed' }
  | { readonly kind: 'stopping' }
  /** A call sent at `sentAt` with the token held was rejected; `isReplay`: not for the first time. */
  | { readonly kind: 'rejected'; readonly sentAt: number; readonly isReplay: boolean }
  /** The replay of a call that had been rejected with `generation` was accepted. */
  | { readonly kind: 'replay_accepted'; readonly generation: number }
  | { readonly kind: 'store_changed' }
  | { readonly kind: 'read'; readonly state: StoredState }
  | { readonly kind: 'leased'; readonly state: StoredState }
  | { readonly kind: 'lease_denied' }
  | { readonly kind: 'begun'; readonly count: number }
  | { readonly kind: 'mint_ended'; readonly outcome: MintOutcome }
  | { readonly kind: 'published'; readonly accepted: boolean }
  | { readonly kind: 'offered'; readonly state: StoredState }
  | {
      readonly kind: 'store_failed'
      readonly during: 'read' | 'acquire' | 'begin' | 'publish' | 'offer'
      /** Code or name of the error, such as `EACCES`, for the log. */
      readonly cause?: string
    }

/** What the shell is told to do; each store or mint action ends in exactly one event. */
export type Action =
  | { readonly do: 'read' }
  | { readonly do: 'acquire' }
  | { readonly do: 'begin'; readonly day: string }
  | { readonly do: 'mint'; readonly timeoutMs: number }
  | { readonly do: 'publish'; readonly token: Token }
  | { readonly do: 'release' }
  | { readonly do: 'offer'; readonly token: Token }
  | { readonly do: 'tally'; readonly outcome: keyof MintTally }
  /** Count a foreign mint. */
  | { readonly do: 'foreign' }
  | {
      readonly do: 'tell'
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly event: string
      readonly fields: LogFields
    }

export const initialState: TokenState = {
  token: null,
  orphan: false,
  topGeneration: 0,
  phase: { kind: 'idle' },
  asked: false,
  scheduled: false,
  rejectedAt: null,
  surelyRejectedAt: null,
  suspectSince: 0,
  unknownSince: null,
  announcedAt: null,
  disturbed: false,
  quietUntil: Number.NEGATIVE_INFINITY,
  pause: null,
  failures: 0,
  secretRejections: 0,
  requests: { day: '', count: 0 },
  lastRequestAt: Number.NEGATIVE_INFINITY,
  rejectionMintAt: Number.NEGATIVE_INFINITY,
  rejectionStreak: 0,
  foreignStreak: 0,
  replacedByRejection: null,
  storeHealthy: true,
  storeFailures: 0,
  storeRetryAt: Number.NEGATIVE_INFINITY,
  readAt: Number.NEGATIVE_INFINITY,
  readWanted: false,
  offerAt: null,
  offering: false,
  stopping: false,
  lastError: null,
}
