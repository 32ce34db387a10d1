import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProblemError } from '../../proxy/lib/errors.ts'
import type { Route } from '../../proxy/relay/forwarder.ts'
import { isMaskable, type TokenMask } from '../../proxy/relay/masking.ts'
import { answerFields, answerTrailers, joinedValue } from './forwarded-headers.ts'

/** Node drops fields beyond this many without a word. */
const MOST_FIELDS = 2000

const NOTHING = Buffer.alloc(0)

/** What an answer is passed on with. */
export interface AnswerTerms {
  readonly route: Route
  /** `Host` as the caller sent it. */
  readonly host: string | null
  /** Null: nothing is masked. */
  readonly mask: TokenMask | null
  /** Whether the caller can be given trailers. */
  readonly hasTrailers: boolean
  /** Whether the caller's connection ends with this answer. */
  readonly isLast: boolean
  /** Called whenever the answer moves on. */
  readonly onProgress: () => void
  /** Called when the upstream ended before its answer did: the caller's connection must not end as if it were whole. */
  readonly onTruncated: () => void
}

/** The header section of an answer, ready for `writeHead`. Throws `upstream_protocol_error` for one that cannot be passed on. */
export function answerHead(
  message: IncomingMessage,
  terms: AnswerTerms,
): { reason: string; fields: string[] } {
  const coding = joinedValue(message.rawHeaders, 'transfer-encoding')
  // Node takes off the chunks of any list that ends in `chunked`; the other codings would be lost on the way.
  if (coding !== null && coding.toLowerCase() !== 'chunked') throw new ProblemError('upstream_protocol_error')
  if (message.rawHeaders.length >= 2 * MOST_FIELDS) throw new ProblemError('upstream_protocol_error')
  const status = message.statusCode ?? 0
  const fields = answerFields(message.rawHeaders, {
    status,
    route: terms.route,
    host: terms.host,
    mask: terms.mask,
  })
  // Node refuses the announcement of trailers on an answer that cannot have any.
  const hasTrailers = terms.hasTrailers && coding !== null && status !== 204 && status !== 304
  if (!hasTrailers) removeField(fields, 'trailer')
  const reason = message.statusMessage ?? ''
  return { reason: terms.mask === null ? reason : terms.mask.head(reason), fields }
}

/** Passes an answer on as it comes, no faster than the caller reads it. */
export function passAnswer(message: IncomingMessage, response: ServerResponse, terms: AnswerTerms): void {
  // It may have been cut while it waited for the verdict.
  if (message.destroyed && !message.complete) throw new ProblemError('upstream_protocol_error')
  const { reason, fields } = answerHead(message, terms)
  if (terms.isLast) fields.push('connection', 'close')
  try {
    response.writeHead(message.statusCode ?? 0, reason, fields)
  } catch (cause) {
    throw new ProblemError('upstream_protocol_error', { cause })
  }
  // The head goes out before any body exists: events may be long in coming. `flushHeaders` would write it as UTF-8.
  response.write(NOTHING)

  const { headers } = message
  const isMasked =
    terms.mask !== null && isMaskable(headers['content-type'] ?? null, headers['content-encoding'] ?? null)
  const masker = isMasked ? terms.mask.body() : null
  response.on('drain', () => {
    terms.onProgress()
    message.resume()
  })
  message.on('data', (chunk: Buffer) => {
    terms.onProgress()
    const bytes = masker === null ? chunk : masker.write(chunk)
    if (bytes.length > 0 && !response.write(bytes)) message.pause()
  })
  message.once('end', () => {
    if (!message.complete) return
    const rest = masker?.flush()
    if (rest !== undefined && rest.length > 0) response.write(rest)
    const trailers = answerTrailers(message.rawTrailers, terms.mask)
    if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(trailers)
    response.end()
  })
  message.once('close', () => {
    if (!message.complete) terms.onTruncated()
  })
}

function removeField(fields: string[], name: string): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    if (fields[at]?.toLowerCase() === name) fields.splice(at, 2)
  }
}
