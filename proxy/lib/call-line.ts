import type { ProblemCode } from './errors.ts'

/** One call, as the access log tells of it. Never a query, a field or a body. */
export interface CallLine {
  /** Null for what was no call: bytes that are not HTTP, or came too late. */
  readonly method: string | null
  /** Null when the call was refused before it had one. */
  readonly route: string | null
  readonly path: string | null
  readonly status: number
  readonly durationMs: number
  /** Of the sidecar's own answer, or why it cut off the upstream's. */
  readonly code: ProblemCode | null
  /** It was sent again with a newer token. */
  readonly replayed: boolean
  /** The caller's own id for it. */
  readonly requestId: string | null
  /** Of the trace it belongs to. */
  readonly traceId: string | null
}

/** Takes a call down, in no more time than it takes to write a few words into memory; never throws. */
export type RecordCall = (line: CallLine) => void
