import { STATUS_CODES } from 'node:http'
import type { Response } from 'express'
import { problems, problemType } from '../lib/errors.ts'

/** An answer of RFC 9457 in the form the relay's own answers have: `code` is for programs, `detail` for people. */
export interface OpsProblem {
  readonly status: number
  readonly code: string
  /** What is wrong and what would be right. */
  readonly detail: string
  /** Further members of the document. */
  readonly members?: Readonly<Record<string, string | readonly string[] | null>>
}

/** Answers with a problem. The title is the code's own, or the status phrase for codes that only the ops address has. */
export function sendProblem(response: Response, { status, code, detail, members }: OpsProblem): void {
  const title = Object.hasOwn(problems, code)
    ? problems[code as keyof typeof problems].title
    : (STATUS_CODES[status] ?? '')
  const body = JSON.stringify({ type: problemType(code), title, status, detail, code, ...members })
  response.status(status).setHeader('content-type', 'application/problem+json')
  // As bytes: Express adds a charset to text, and JSON has none (RFC 8259, section 11).
  response.send(Buffer.from(body))
}
