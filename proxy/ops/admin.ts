import type { Request, RequestHandler, Response } from 'express'
import { adviceFor } from '../lib/advice.ts'
import { ProblemError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { CredentialStatus } from '../token/status.ts'
import { refusal } from './local-caller.ts'
import { sendProblem } from './problem.ts'
import { isoInstant } from './status.ts'

/** How a rotation that a person asked for ended; instants are epoch ms. */
export type RotateResult =
  | {
      readonly kind: 'minted'
      readonly credential: string
      readonly generation: number
      readonly fingerprint: string
      readonly mintedAt: number
      /** Null = never expires. */
      readonly validTill: number | null
    }
  | {
      readonly kind: 'failed'
      readonly credential: string
      /** Code of the failed mint or the problem that prevented it. */
      readonly code: string
      /** The token API's own error id, which its support asks for. */
      readonly errorId?: string | null
      /** When it is worth asking again, seconds. */
      readonly retryAfterS?: number
    }

/** What the two actions need. */
export interface AdminDeps {
  credentials(): readonly CredentialStatus[]
  /** Mints now for one credential. `signal` aborts when the caller leaves; the mint itself goes on. */
  rotate(credential: string, signal: AbortSignal): Promise<RotateResult>
  /** Begins the orderly end of the process. */
  quit(): void
  readonly log: Log
}

/** Lets local programs pass and answers everybody else 403, saying what is missing. */
export function localCallersOnly(bySocketFile: boolean, log: Log): RequestHandler {
  return (request, response, next) => {
    const remoteAddress = request.socket.remoteAddress
    const reason = refusal({ bySocketFile, remoteAddress, headers: request.headers })
    if (reason === null) return next()
    log.warn('ops_request_refused', { path: request.path, remote_address: remoteAddress, reason })
    sendProblem(response, { status: 403, code: 'request_forbidden', detail: reason })
  }
}

/** POST /rotate: 200 with the new token's data, 503 with the code of what went wrong. */
export function rotateHandler({ credentials, rotate, log }: AdminDeps): RequestHandler {
  return async (request, response) => {
    const credential = chosenCredential(request, response, credentials())
    if (credential === null) return
    const left = new AbortController()
    response.once('close', () => left.abort())
    log.info('rotate_requested', { credential })
    const result = await rotate(credential, left.signal).catch((error: unknown) => {
      return asFailure(error, credential, left.signal)
    })
    if (left.signal.aborted) return
    if (result.kind === 'minted') {
      response.json({
        credential: result.credential,
        generation: result.generation,
        fingerprint: result.fingerprint,
        minted_at: isoInstant(result.mintedAt),
        valid_till: isoInstant(result.validTill),
      })
      return
    }
    if (result.retryAfterS !== undefined) {
      response.set('retry-after', String(Math.max(1, Math.ceil(result.retryAfterS))))
    }
    const advice = adviceFor(result.code)
    const words = advice === null ? '' : ` ${advice.meaning} ${advice.next}`
    sendProblem(response, {
      status: 503,
      code: result.code,
      detail: `No new token was obtained for credential ${result.credential}.${words}`,
      members: {
        credential: result.credential,
        error_id: result.errorId ?? null,
        ...(advice === null ? {} : { causes: advice.causes, help: advice.help }),
      },
    })
  }
}

/** POST /quit: 202 at once; the end begins when the answer is on its way. */
export function quitHandler({ quit, log }: AdminDeps): RequestHandler {
  return (_request, response) => {
    log.info('quit_requested')
    // 'close' follows the answer, and also comes when the caller left without waiting for it.
    response.once('close', quit)
    response
      .set('connection', 'close')
      .status(202)
      .json({ ok: true, reason: 'stopping after the calls under way' })
  }
}

/** The one that is named in the body or the query, else the only one there is. Null when it has answered already. */
function chosenCredential(
  request: Request,
  response: Response,
  credentials: readonly CredentialStatus[],
): string | null {
  const known = credentials.map(({ name }) => name)
  const named = namedCredential(request)
  if (named === INVALID) {
    const detail = 'The body must be a JSON object such as {"credential":"default"}, or empty.'
    sendProblem(response, { status: 400, code: 'request_invalid', detail })
    return null
  }
  if (named === null) {
    const [only] = known
    if (only !== undefined && known.length === 1) return only
    const detail = 'There are several credentials: name one as ?credential=NAME, or with --credential NAME.'
    sendProblem(response, {
      status: 400,
      code: 'credential_required',
      detail,
      members: { credentials: known },
    })
    return null
  }
  if (known.includes(named)) return named
  const detail = 'No credential has that name.'
  sendProblem(response, { status: 404, code: 'credential_unknown', detail, members: { credentials: known } })
  return null
}

const INVALID = Symbol('a body that is not what was asked for')

function namedCredential(request: Request): string | null | typeof INVALID {
  const body: unknown = request.body
  if (body !== undefined) {
    if (body === null || typeof body !== 'object' || Array.isArray(body)) return INVALID
    const { credential } = body as { readonly credential?: unknown }
    if (credential !== undefined) return typeof credential === 'string' ? credential : INVALID
  }
  const query = request.url.indexOf('?')
  return query === -1 ? null : new URLSearchParams(request.url.slice(query)).get('credential')
}

/** A refusal that was thrown says as much as one that was returned; anything else is a bug and goes on to be logged. */
function asFailure(error: unknown, credential: string, left: AbortSignal): RotateResult {
  if (left.aborted) return { kind: 'failed', credential, code: 'caller_left' }
  if (!(error instanceof ProblemError)) throw error
  const { code, retryAfterS } = error
  return { kind: 'failed', credential, code, ...(retryAfterS === undefined ? {} : { retryAfterS }) }
}
