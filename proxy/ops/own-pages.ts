import type { RequestHandler } from 'express'
import { isOwnOrigin } from './local-caller.ts'
import { sendProblem } from './problem.ts'

/**
 * Lets programs and the pages served from here pass. A page of another site could read nothing of a stream, and yet take
 * the places of those who watch; a link to the page itself may be followed from anywhere.
 */
export const ownPagesOnly: RequestHandler = (request, response, next) => {
  if (isOwnOrigin(request.headers)) return next()
  const detail = 'Pages of another site may not read this.'
  sendProblem(response, { status: 403, code: 'request_forbidden', detail })
}
