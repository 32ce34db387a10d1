import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Timers } from './clock.ts'
import type { FaultPlan, TokenDisturbance } from './fault-plan.ts'
import type { TokenEnding } from './faults.ts'
import type { IssuedToken, Issuer, MintResult, Refusal } from './issuer.ts'
import { reset } from './listener.ts'
import type { MintEvent, MintLog } from './mint-log.ts'
import {
  type Answer,
  emptyAnswer,
  errorAnswer,
  garbageAnswer,
  htmlAnswer,
  mintAnswer,
  type TokenField,
  type ValidTillSpelling,
} from './token-answers.ts'

export interface TokenApiOptions {
  readonly issuer: Issuer
  readonly faults: FaultPlan
  readonly log: MintLog
  readonly timers: Timers
  readonly random: (sizeBytes: number) => Buffer
  readonly tokenField: TokenField
  readonly validTillSpelling: ValidTillSpelling
  /** Added to the clock in `Date` and in `valid_till`. The rules go by the true clock, as seen from outside. */
  readonly clockSkewMs: number
}

/** One request on its way through the API. */
interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly event: MintEvent
  readonly skewMs: number
}

const refusals: Record<Refusal, { status: number; code: string; message: string }> = {
  secret_missing: { status: 401, code: 'SECRET_MISSING', message: 'x-clear-client-secret is missing' },
  secret_unknown: { status: 401, code: 'SECRET_INVALID', message: 'x-clear-client-secret is not valid' },
  client_deleted: { status: 401, code: 'SECRET_INVALID', message: 'x-clear-client-secret is not valid' },
  ip_refused: { status: 401, code: 'IP_NOT_ALLOWED', message: 'The address is not on the whitelist' },
  quota_exhausted: { status: 429, code: 'QUOTA_EXCEEDED', message: 'The daily quota of requests is used up' },
}

/** `GET /integration/v1/authz/token`: the Generate Access Token API, over HTTP and with its faults. */
export class TokenApi {
  readonly #options: TokenApiOptions
  readonly #connections = new WeakMap<Socket, number>()
  #connectionCount = 0

  constructor(options: TokenApiOptions) {
    this.#options = options
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    void this.#serve(req, res)
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { issuer, faults, log, timers, clockSkewMs } = this.#options
    req.resume()
    const secret = secretOf(req)
    const client = issuer.nameOf(secret)
    const event = log.begin({
      client,
      connection: this.#connectionOf(req.socket),
      remotePort: req.socket.remotePort ?? null,
      startedAt: timers.now(),
    })
    res.once('close', () => this.#end(event))
    if (req.method !== 'GET') return this.#refuseMethod({ req, res, event, skewMs: clockSkewMs })

    const met = faults.forToken(client)
    const exchange = { req, res, event, skewMs: clockSkewMs + met.skewMs }
    // The wait goes on when the client leaves: the real service would process its request all the same.
    await timers.sleep(met.beforeMs)
    if (this.#endsUnprocessed(exchange, met.ending, secret)) return
    const result = this.#process(event, secret, callerIp(req), met)
    await timers.sleep(met.afterMs)
    this.#finish(exchange, met.ending, result)
  }

  /** Plays the endings that keep the request from the issuer; false when there is none. */
  #endsUnprocessed(exchange: Exchange, ending: TokenEnding | null, secret: string | undefined): boolean {
    if (ending === null) return false
    const { req, event } = exchange
    event.fault = ending.kind
    switch (ending.kind) {
      case 'reset':
        this.#end(event)
        reset(req.socket)
        return true
      case 'hang':
        return !ending.mints
      case 'status':
        this.#fail(event, secret)
        this.#answer(exchange, ending.status, this.#faultAnswer(ending))
        return true
      case 'garbage':
        if (ending.mints ?? true) return false
        this.#fail(event, secret)
        this.#answer(exchange, 200, garbageAnswer(ending.body, this.#mintAnswer(deadToken, exchange.skewMs)))
        return true
      case 'lose-answer':
        return false
    }
  }

  #process(event: MintEvent, secret: string | undefined, ip: string, met: TokenDisturbance): MintResult {
    const { issuer, log, timers } = this.#options
    const result = issuer.mint(secret, ip)
    event.processedAt = timers.now()
    event.outcome = result.outcome
    if (result.outcome !== 'minted') return result
    event.generation = result.token.generation
    if (met.foreignMint) {
      const foreign = issuer.foreignMint(result.token.client)
      log.foreign(foreign.client, foreign.generation, timers.now())
    }
    return result
  }

  #finish(exchange: Exchange, ending: TokenEnding | null, result: MintResult): void {
    if (ending?.kind === 'hang') return
    if (ending?.kind === 'lose-answer') {
      this.#end(exchange.event)
      return void exchange.req.socket.destroy()
    }
    if (result.outcome !== 'minted') {
      const { status, code, message } = refusals[result.outcome]
      return void this.#answer(exchange, status, errorAnswer(code, message, null))
    }
    const good = this.#mintAnswer(result.token, exchange.skewMs)
    this.#answer(exchange, 200, ending?.kind === 'garbage' ? garbageAnswer(ending.body, good) : good)
  }

  #refuseMethod(exchange: Exchange): void {
    exchange.event.outcome = 'wrong_method'
    exchange.res.setHeader('allow', 'GET')
    this.#answer(exchange, 405, errorAnswer('METHOD_NOT_ALLOWED', 'Only GET is supported', null))
  }

  #fail(event: MintEvent, secret: string | undefined): void {
    this.#options.issuer.fail(secret)
    event.processedAt = this.#options.timers.now()
    event.outcome = 'faulty'
  }

  #faultAnswer(ending: TokenEnding & { kind: 'status' }): Answer {
    if (ending.body === 'html') return htmlAnswer(`Error ${ending.status}`)
    if (ending.body === 'empty') return emptyAnswer
    const errorId = ending.status >= 500 ? this.#options.random(16).toString('hex') : null
    return errorAnswer('SANDBOX_FAULT', `The sandbox was told to answer ${ending.status}`, errorId)
  }

  #mintAnswer(token: Pick<IssuedToken, 'value' | 'expiresAt'>, skewMs: number): Answer {
    const { tokenField, validTillSpelling } = this.#options
    const validTill = token.expiresAt === null ? null : token.expiresAt + skewMs
    return mintAnswer(token.value, validTill, tokenField, validTillSpelling)
  }

  #answer({ res, event, skewMs }: Exchange, status: number, answer: Answer): void {
    const now = this.#options.timers.now()
    if (!res.destroyed) event.answeredAt = now
    this.#end(event)
    const { contentType, body, contentLength } = answer
    res.writeHead(status, {
      date: new Date(now + skewMs).toUTCString(),
      'cache-control': 'no-store',
      'content-type': contentType,
      'content-length': contentLength ?? Buffer.byteLength(body),
    })
    if (contentLength === undefined) res.end(body)
    else res.write(body, () => res.socket?.destroy())
  }

  /** To be called before the client can notice: it may begin its next request the moment it does. */
  #end(event: MintEvent): void {
    this.#options.log.end(event, this.#options.timers.now())
  }

  #connectionOf(socket: Socket): number {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    this.#connectionCount += 1
    this.#connections.set(socket, this.#connectionCount)
    return this.#connectionCount
  }
}

/** What garbage without a mint is made from: nobody ever accepts it. */
const deadToken = { value: `1.00000000-0000-0000-0000-000000000000_${'0'.repeat(64)}`, expiresAt: null }

function secretOf(req: IncomingMessage): string | undefined {
  const value = req.headers['x-clear-client-secret']
  return typeof value === 'string' ? value : undefined
}

/** The peer's address; an IPv4 peer of a dual-stack listener is written as IPv4. */
function callerIp(req: IncomingMessage): string {
  return (req.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
}
