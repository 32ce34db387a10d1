import { STATUS_CODES } from 'node:http'
import { adviceFor } from '../lib/advice.ts'
import { type ProblemCode, problems, problemType } from '../lib/errors.ts'

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

/** What does not depend on the call, made at the first answer with the code: an outage asks for the same one again and again. */
const prepared = new Map<ProblemCode, Problem>()

/**
 * The answer for a code: what it means, its likely causes and what to do, the same words as in docs/operations.md. Of the call
 * it holds nothing but the id that its caller gave it, checked by `requestIdOf`.
 */
export function problemFor(
  code: ProblemCode,
  retryAfterS?: number,
  requestId: string | null = null,
): Problem {
  let problem = prepared.get(code)
  if (problem === undefined) {
    problem = prepare(code)
    prepared.set(code, problem)
  }
  if (problem.status !== 503 && requestId === null) return problem
  const headers = [...problem.headers]
  if (problem.status === 503) {
    headers.push(['retry-after', String(Math.max(1, Math.ceil(retryAfterS ?? DEFAULT_RETRY_AFTER_S)))])
  }
  if (requestId !== null) headers.push(['x-request-id', requestId])
  return { ...problem, headers }
}

/** The answer as bytes of HTTP/1.1, ASCII. `connection`: the value of that field, if it has one. */
export function problemMessage(problem: Problem, connection: string | null, hasBody: boolean): string {
  let text = `HTTP/1.1 ${problem.status} ${problem.reason}\r\n`
  for (const [name, value] of problem.headers) text += `${name}: ${value}\r\n`
  if (connection !== null) text += `connection: ${connection}\r\n`
  return hasBody ? `${text}\r\n${problem.body}` : `${text}\r\n`
}

function prepare(code: ProblemCode): Problem {
  const { status, proxyStatus, title } = problems[code]
  const advice = adviceFor(code)
  const words = advice && {
    detail: `${advice.meaning} ${advice.next}`,
    causes: advice.causes,
    help: advice.help,
  }
  const body = JSON.stringify({ type: problemType(code), title, status, code, ...words })
  return {
    status,
    reason: STATUS_CODES[status] ?? '',
    headers: [
      ['content-type', 'application/problem+json'],
      ['content-length', String(body.length)],
      ['cache-control', 'no-store'],
      ['proxy-status', `token-sidecar; error=${proxyStatus}`],
    ],
    body,
  }
}
