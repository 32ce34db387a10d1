import type { RequestHandler } from 'express'
import { adviceFor } from '../lib/advice.ts'
import { ProblemError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { CredentialStatus } from '../token/status.ts'
import { chosenCredential } from './chosen-credential.ts'
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
    const chosen = chosenCredential(request, credentials())
    if ('problem' in chosen) {
      sendProblem(response, chosen.problem)
      return
    }
    const credential = chosen.name
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

/** A refusal that was thrown says as much as one that was returned; anything else is a bug and goes on to be logged. */
function asFailure(error: unknown, credential: string, left: AbortSignal): RotateResult {
  if (left.aborted) return { kind: 'failed', credential, code: 'caller_left' }
  if (!(error instanceof ProblemError)) throw error
  const { code, retryAfterS } = error
  return { kind: 'failed', credential, code, ...(retryAfterS === undefined ? {} : { retryAfterS }) }
}
