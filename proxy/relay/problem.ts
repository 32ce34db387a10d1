import { STATUS_CODES } from 'node:http'
import { type ProblemCode, problems } from '../lib/errors.ts'

/** An answer of the sidecar's own (RFC 9457), ready to be written; for HEAD the body is left out. */
export interface Problem {
  readonly status: number
  readonly reason: string
  /** In wire order, names in lower case, framing included. */
  readonly headers: readonly (readonly [string, string])[]
  /** JSON, ASCII only. */
  readonly body: string
}

const DEFAULT_RETRY_AFTER_S = 1

/**
 * The answer for a code. The type member is left out, which RFC 9457, section 4.2.1, reads as `about:blank`: then the title
 * is the status phrase, and `code` is what callers match on. Never holds anything from the call.
 */
export function problemFor(code: ProblemCode, retryAfterS?: number): Problem {
  const { status, proxyStatus, title: detail } = problems[code]
  const reason = STATUS_CODES[status] ?? ''
  const body = JSON.stringify({ title: reason, status, detail, code })
  const headers: [string, string][] = [
    ['content-type', 'application/problem+json'],
    ['content-length', String(body.length)],
    ['cache-control', 'no-store'],
    ['proxy-status', `token-sidecar; error=${proxyStatus}`],
  ]
  if (status === 503) {
    headers.push(['retry-after', String(Math.max(1, Math.ceil(retryAfterS ?? DEFAULT_RETRY_AFTER_S)))])
  }
  return { status, reason, headers, body }
}

/** The answer as it is written; `connection` is the value of that field, null for none. */
export function problemMessage(problem: Problem, connection: string | null, hasBody: boolean): string {
  let text = `HTTP/1.1 ${problem.status} ${problem.reason}\r\n`
  for (const [name, value] of problem.headers) text += `${name}: ${value}\r\n`
  if (connection !== null) text += `connection: ${connection}\r\n`
  return hasBody ? `${text}\r\n${problem.body}` : `${text}\r\n`
}
