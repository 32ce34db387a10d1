/** By which a call is found again in the logs of others; null for what its caller did not send, or not in the form expected. */
export interface CallIds {
  /** The caller's `x-request-id`. */
  readonly requestId: string | null
  /** From `traceparent` (W3C Trace Context, section 3.2.2): 32 hex digits. */
  readonly traceId: string | null
}

// Visible ASCII of a bounded length: what is echoed in a field and written into a log must not be able to begin another.
const REQUEST_ID = /(?:^|\r\n)x-request-id:[ \t]*([\x21-\x7e]{1,128})[ \t]*\r\n/i
const TRACE_PARENT = /(?:^|\r\n)traceparent:[ \t]*(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-/i

/** The id in a head's field lines, each of which ends in CRLF. */
export const requestIdIn = (lines: string): string | null => REQUEST_ID.exec(lines)?.[1] ?? null

/** The id of the trace in a head's field lines. Values in upper case are invalid and taken for what they mean all the same. */
export const traceIdIn = (lines: string): string | null =>
  TRACE_PARENT.exec(lines)?.[1]?.toLowerCase() ?? null
