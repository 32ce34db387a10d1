import type { GarbageKind } from './token-answers.ts'

/** How long a fault lasts: for `count` requests, for `forMs` milliseconds, both, or (neither) until cleared. */
interface Extent {
  readonly count?: number
  readonly forMs?: number
}

/** An API whose listener is closed; whoever connects is refused by the system. */
type Refuse = { readonly kind: 'refuse' }

/** Changes what a request meets on its way; several can apply to one request, and their times add up. */
type TokenModifier =
  /** Waits before processing: the effect comes late, also when the client has left by then. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Processes at once and answers late. */
  | { readonly kind: 'slow-answer'; readonly ms: number }
  /** The API's clock as told in `Date` and `valid_till` is off by `ms`; the rules are not. */
  | { readonly kind: 'skew'; readonly ms: number }
  /** Somebody else mints between the processing and the answer, so the token answered is dead on arrival. */
  | { readonly kind: 'foreign-mint' }

/** Replaces the end of a request; one request meets at most one, in the order they were added. */
export type TokenEnding =
  /** Answers so, without minting. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: 'json' | 'html' | 'empty' }
  /** Resets the connection before processing. */
  | { readonly kind: 'reset' }
  /** Mints, then closes the connection without an answer. */
  | { readonly kind: 'lose-answer' }
  /** Never answers; `mints` says whether it takes effect. */
  | { readonly kind: 'hang'; readonly mints: boolean }
  /** Answers 200 with a body that is no token; `mints` (default true) says whether it takes effect. */
  | { readonly kind: 'garbage'; readonly body: GarbageKind; readonly mints?: boolean }

type BusinessModifier =
  /** Waits before judging the token. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Judges the token at the end of the request body, not at the head. */
  | { readonly kind: 'check-at-end' }

export type BusinessEnding =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'reset' }
  /** Refuses every token, the live one too. */
  | { readonly kind: 'reject' }

/** `client` (a name) limits the fault to that client's requests. */
export type TokenFault = Extent & { readonly api: 'token'; readonly client?: string } & (
    | TokenModifier
    | TokenEnding
    | Refuse
  )

/** `path` limits the fault to paths that begin with it. */
export type BusinessFault = Extent & { readonly api: 'business'; readonly path?: string } & (
    | BusinessModifier
    | BusinessEnding
    | Refuse
  )

export type Fault = TokenFault | BusinessFault
