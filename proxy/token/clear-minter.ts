import type { Client, Dispatcher } from 'undici'
import type { Clock } from '../lib/clock.ts'
import type { MintErrorCode } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Secret } from '../lib/secret.ts'
import { type TlsFiles, tlsOptions } from '../lib/tls.ts'
import type { MintFailure, MintOutcome, TokenMinter } from './minter.ts'
import { readErrorId, readTokenAnswer } from './token-answer.ts'

/** The header that carries the client secret to the token API. */
export const SECRET_HEADER = 'x-clear-client-secret'

export interface ClearMinterParts {
  readonly tokenUrl: URL
  readonly secret: Secret
  readonly tls: TlsFiles
  readonly clock: Clock
  readonly log: Log
}

const LARGEST_ANSWER_BYTES = 64 * 1024
/** `Date` has whole seconds and the answer took a moment: a smaller difference is no evidence of a wrong clock. */
const CLOCK_TOLERANCE_MS = 2_000

/** Mints at Clear's Generate Access Token API: `GET {token URL}` with the client secret in a header. */
export class ClearMinter implements TokenMinter {
  readonly #parts: ClearMinterParts

  constructor(parts: ClearMinterParts) {
    this.#parts = parts
  }

  warm(): void {
    // What fails here fails in `mint`, where it is told.
    loadClient().catch(() => {})
  }

  async mint(signal: AbortSignal): Promise<MintOutcome> {
    const { Client, buildConnector } = await loadClient()
    const { tokenUrl, tls, clock } = this.#parts
    // A connection of its own for each mint: what fails before `connect` was never sent, what fails after it may have
    // taken effect, and a pool that repeats a GET on a fresh socket by itself cannot exist.
    const connect = buildConnector({ timeout: 0, ...tlsOptions(tls) })
    let localAddress: string | undefined
    const client = new Client(tokenUrl.origin, {
      pipelining: 1,
      connect(options, connected) {
        connect(options, (...result) => {
          localAddress = result[1]?.localAddress
          connected(...result)
        })
      },
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    let connected = false
    client.on('connect', () => {
      connected = true
    })
    const sentAt = clock.now()
    try {
      return withAddress(await this.#judge(await this.#request(client, signal), sentAt), localAddress)
    } catch (error) {
      const cause = systemCode(error)
      if (!connected)
        return { kind: 'refused', reason: 'unreachable', error: { code: 'mint_unreachable', ...cause } }
      const code = signal.aborted ? 'mint_timeout' : 'mint_reset'
      return { kind: 'unknown', error: { code, ...cause } }
    } finally {
      client.destroy().catch(() => {})
    }
  }

  #request(client: Client, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { tokenUrl, secret } = this.#parts
    return client.request({
      method: 'GET',
      path: tokenUrl.pathname + tokenUrl.search,
      headers: { [SECRET_HEADER]: secret.reveal(), accept: 'application/json' },
      reset: true,
      signal,
    })
  }

  async #judge(answer: Dispatcher.ResponseData, sentAt: number): Promise<MintOutcome> {
    const status = answer.statusCode
    if (status === 200) return this.#minted(await readBounded(answer.body), answer.headers['date'], sentAt)
    // The status alone decides; a body that breaks off has no error id to tell, and that is all.
    const body = await readBounded(answer.body).catch(() => '')
    const error = (code: MintErrorCode) => withErrorId({ code, status }, body)
    if (status === 401)
      return { kind: 'refused', reason: 'secret_rejected', error: error('mint_secret_rejected') }
    if (status === 429)
      return { kind: 'refused', reason: 'quota_exhausted', error: error('mint_quota_exhausted') }
    // Redirects and other 4xx come from something in front of the token API, or from a wrong URL: nothing was minted.
    if (status >= 300 && status < 500 && status !== 408) {
      return { kind: 'refused', reason: 'unreachable', error: error('mint_status') }
    }
    return { kind: 'unknown', error: error('mint_status') }
  }

  #minted(body: string, date: string | string[] | undefined, sentAt: number): MintOutcome {
    const { clock, log } = this.#parts
    const answer = readTokenAnswer(body)
    if (answer === null)
      return { kind: 'unknown', error: withErrorId({ code: 'mint_garbage', status: 200 }, body) }
    if (answer.validTillUnreadable) log.warn('valid_till_unreadable')
    const mintedAt = clock.now()
    const clockOffsetMs = clockOffset(date, sentAt, mintedAt)
    if (clockOffsetMs !== 0) log.warn('clock_differs', { token_api_ahead_ms: clockOffsetMs })
    const validTill = answer.validTill === null ? null : answer.validTill - clockOffsetMs
    return { kind: 'minted', token: { value: answer.value, validTill, mintedAt } }
  }
}

/**
 * At the first mint: a sidecar that starts with a stored token is ready sooner without it. The default export, since a bundler
 * cannot tell the names that a CommonJS package exports.
 */
async function loadClient() {
  return (await import('undici')).default
}

/** All that is kept of an error's body: its support asks for it. */
function withErrorId(failure: MintFailure, body: string): MintFailure {
  const errorId = readErrorId(body)
  return errorId === undefined ? failure : { ...failure, errorId }
}

/** A rejection may be the address's fault, so it says which one the request left from. */
function withAddress(outcome: MintOutcome, localAddress: string | undefined): MintOutcome {
  if (outcome.kind !== 'refused' || outcome.reason !== 'secret_rejected' || localAddress === undefined)
    return outcome
  return { ...outcome, error: { ...outcome.error, localAddress } }
}

/** How far the token API's clock is ahead of ours, ms; 0 when it cannot be told from the second `Date` was rounded to. */
export function clockOffset(date: string | string[] | undefined, sentAt: number, receivedAt: number): number {
  const theirs = typeof date === 'string' ? Date.parse(date) : Number.NaN
  if (Number.isNaN(theirs)) return 0
  const offset = theirs + 500 - (sentAt + receivedAt) / 2
  return Math.abs(offset) <= CLOCK_TOLERANCE_MS + (receivedAt - sentAt) / 2 ? 0 : offset
}

async function readBounded(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // The connection is dropped by the caller; a token answer of this size is no token answer.
    if (bytes > LARGEST_ANSWER_BYTES) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function systemCode(error: unknown): { cause?: string } {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? { cause: code } : {}
}
