import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../lib/clock.ts'
import { type ProblemCode, ProblemError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { HeldToken, Waiting } from '../token/source.ts'
import { type Admission, type Admitted, CALLER_KEY_HEADER, type CallHead } from './admission.ts'
import type { TrafficCounters } from './counters.ts'
import { answerTrailers, countOf, joinedValue, maskOf, type RequestFields } from './forwarded-headers.ts'
import type { ForwarderOptions, Route } from './forwarder.ts'
import { type AnswerTerms, answerHead, passAnswer } from './http-proxy-answer.ts'
import { type Exchange, StaleConnectionError, type UpstreamAnswer } from './http-proxy-exchange.ts'
import { joinTunnel } from './http-proxy-tunnel.ts'
import { KeptBody, type ReplayMemory } from './kept-body.ts'
import { pathOf } from './path.ts'
import { problemFor } from './problem.ts'
import { type SilenceWatch, watchSilence } from './silence.ts'

/** What all calls of one forwarder share. */
export interface CallContext {
  readonly options: ForwarderOptions
  readonly admit: Admission
  readonly fields: RequestFields
  readonly exchange: Exchange
  readonly memory: ReplayMemory
  readonly counters: TrafficCounters
  readonly clock: Clock
  readonly log: Log
  isDraining(): boolean
}

/** How long the rest of an upload may run into nothing after the answer, so that the caller gets to read that. */
const LINGER_MS = 5_000

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const COUNTED_METHODS: ReadonlySet<string> = new Set([...IDEMPOTENT, 'POST', 'PATCH', 'TRACE', 'CONNECT'])

interface Answer extends UpstreamAnswer {
  readonly token: HeldToken
  /** Monotonic ms. */
  readonly sentAt: number
  readonly status: number
}

/** One call: token, send, judge, then pass on or send again. */
export class Call {
  readonly request: IncomingMessage
  /** Resolves when the caller has its answer or has left. */
  readonly done: Promise<void>
  readonly #context: CallContext
  readonly #response: ServerResponse
  readonly #isUpgrade: boolean
  readonly #startedAt: number
  readonly #body: KeptBody
  readonly #left = new AbortController()
  readonly #upstreamRequests: ClientRequest[] = []
  #route: Route | null = null
  #watch: SilenceWatch | null = null
  /** The token on its way upstream, until the verdict. */
  #carried: HeldToken | null = null
  #status: number | null = null
  #code: ProblemCode | null = null
  #replayed = false
  #awaitsContinue: boolean
  #isOver = false
  #resolveDone: () => void = () => {}

  constructor(context: CallContext, request: IncomingMessage, response: ServerResponse, isUpgrade: boolean) {
    this.#context = context
    this.request = request
    this.#response = response
    this.#isUpgrade = isUpgrade
    this.#startedAt = context.clock.monotonic()
    this.#awaitsContinue = request.httpVersionMinor > 0 && /100-continue/i.test(request.headers.expect ?? '')
    this.#body = new KeptBody(request, {
      declaredBytes: declaredBytes(request),
      limitBytes: context.options.replayBodyLimitBytes,
      memory: context.memory,
      onLost: () => {
        if (this.#carried !== null) this.#carried.unreplayableInFlight++
      },
      onProgress: () => this.#watch?.touch(),
    })
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve
    })
    context.counters.inFlight++
    response.sendDate = false
    response.once('close', () => this.#end())
    // The listener lets go of an upgraded connection, so nothing but the end of the answer is certain to come.
    if (isUpgrade) response.once('finish', () => this.#end())
  }

  /**
   * Runs the call to the point where its answer streams by itself; never rejects. `takeEarlyBytes` gives what the
   * caller sent after its request for an upgrade.
   */
  async run(takeEarlyBytes: () => Buffer): Promise<void> {
    try {
      const admitted = this.#admitted()
      this.#route = admitted.route
      const token = admitted.route.tokens.peek(this.#isReplayable) ?? (await this.#heldToken(admitted.route))
      const answer = await this.#judged(admitted, token)
      if (answer.tunnel === null) this.#pass(answer, admitted.route)
      else this.#switch(answer, admitted.route, answer.tunnel, takeEarlyBytes())
    } catch (error) {
      this.#answerProblem(error)
    }
  }

  /** Ends the call with a problem; when the answer is already under way, by cutting it short. */
  fail(code: ProblemCode): void {
    if (this.#response.headersSent) {
      this.#cut()
      return
    }
    const problem = new ProblemError(code)
    this.#left.abort(problem)
    for (const request of this.#upstreamRequests) request.destroy(problem)
  }

  #admitted(): Admitted {
    if (this.#context.isDraining()) throw new ProblemError('shutting_down')
    const admitted = this.#context.admit(headOf(this.request))
    if (typeof admitted === 'string') throw new ProblemError(admitted)
    const coding = joinedValue(this.request.rawHeaders, 'transfer-encoding')
    // Node takes off the chunks of any list that ends in `chunked`; the other codings would be lost on the way.
    if (coding !== null && (this.request.httpVersionMinor === 0 || coding.toLowerCase() !== 'chunked')) {
      throw new ProblemError('request_invalid')
    }
    return admitted
  }

  /** Whether it is certain before sending that the call can be sent again: not for a body of unknown length. */
  get #isReplayable(): boolean {
    return this.#body.isKept && declaredBytes(this.request) !== null
  }

  async #heldToken(route: Route): Promise<HeldToken> {
    this.#context.counters.held++
    try {
      return await route.tokens.current(this.#waiting(this.#isReplayable))
    } finally {
      this.#context.counters.held--
    }
  }

  #waiting(replayable: boolean): Waiting {
    return { replayable, signal: this.#left.signal }
  }

  /** The answer to pass on: that of the first sending, or that of the one replay when it was accepted. */
  async #judged(admitted: Admitted, token: HeldToken): Promise<Answer> {
    const { counters, options } = this.#context
    const { tokens } = admitted.route
    const first = await this.#send(admitted, token)
    if (!options.rejectedStatus.has(first.status)) return first
    this.#watch?.stop()
    const replayable = this.#body.isKept
    const replacing = tokens.replace(token, first.sentAt, this.#waiting(replayable)).catch(() => null)
    // Told, but not waited for, when nothing could be done with the answer.
    const replacement = replayable ? await replacing : null
    this.#left.signal.throwIfAborted()
    // The rest of an upload may have outgrown the limits during the wait.
    if (!this.#body.isKept) counters.unreplayable++
    if (replacement === null || !this.#body.isKept) return first

    this.#replayed = true
    const second = await this.#send(admitted, replacement).catch((error: unknown) => {
      counters.replays.failed++
      throw error
    })
    if (options.rejectedStatus.has(second.status)) {
      counters.replays.rejected++
      tokens.replace(replacement, second.sentAt, this.#waiting(false)).catch(() => null)
      second.message.resume()
      return first
    }
    counters.replays.accepted++
    tokens.replayAccepted(token)
    first.message.resume()
    return second
  }

  /** Sends the call with a token; a second time only when a pooled connection had died unseen and the method allows it. */
  async #send(admitted: Admitted, token: HeldToken): Promise<Answer> {
    this.#carried = token
    token.inFlight++
    if (!this.#body.isKept) token.unreplayableInFlight++
    try {
      return await this.#sendOn(admitted, token, true).catch((error: unknown) => {
        const isRepeatable = IDEMPOTENT.has(this.request.method ?? '') && this.#body.isKept
        if (!(error instanceof StaleConnectionError) || !isRepeatable) throw error
        return this.#sendOn(admitted, token, false)
      })
    } finally {
      this.#carried = null
      token.inFlight--
      if (!this.#body.isKept) token.unreplayableInFlight--
    }
  }

  async #sendOn({ route, target }: Admitted, token: HeldToken, pooled: boolean): Promise<Answer> {
    this.#left.signal.throwIfAborted()
    const { clock, exchange, fields, options } = this.#context
    if (this.#awaitsContinue && !this.#body.isComplete) this.#response.writeContinue()
    this.#awaitsContinue = false
    const sentAt = clock.monotonic()
    this.#watchUpstream()
    const answer = await exchange({
      upstream: route.upstream,
      method: this.request.method ?? '',
      target,
      header: fields.header(this.request.rawHeaders, route, token, this.#isUpgrade),
      body: this.#isUpgrade ? null : this.#body.open(),
      hasBody: declaredBytes(this.request) !== 0,
      trailers: () => fields.trailers(this.request.rawTrailers),
      pooled,
      onRequest: (request) => {
        this.#upstreamRequests.push(request)
        if (this.#left.signal.aborted) request.destroy(this.#left.signal.reason as Error)
      },
      onInformation: (status, rawHeaders) => this.#passHints(status, rawHeaders, token),
    })
    this.#watch?.touch()
    const status = answer.message.statusCode ?? 0
    if (!options.rejectedStatus.has(status)) token.acceptedSentAt = Math.max(token.acceptedSentAt, sentAt)
    return { ...answer, token, sentAt, status }
  }

  /** 103 is the one interim answer Node can write; others are left out, which RFC 9110 section 15.2 lets a caller expect. */
  #passHints(status: number, rawHeaders: string[], token: HeldToken): void {
    if (status !== 103 || this.request.httpVersionMinor === 0 || this.#response.headersSent) return
    const links = answerTrailers(rawHeaders, this.#maskOf(token)).filter(
      ([name]) => name.toLowerCase() === 'link',
    )
    try {
      this.#response.writeEarlyHints({ link: links.map(([, value]) => value) })
    } catch {
      // A link Node finds malformed: hints may be lost, the answer follows.
    }
  }

  #maskOf(token: HeldToken) {
    return this.#context.options.maskToken ? maskOf(token) : null
  }

  #answerTerms({ token }: Answer, route: Route): AnswerTerms {
    return {
      route,
      host: this.request.headers.host ?? null,
      mask: this.#maskOf(token),
      isLast: this.#context.isDraining(),
      onProgress: () => this.#watch?.touch(),
      onTruncated: () => this.#cut(),
    }
  }

  #pass(answer: Answer, route: Route): void {
    this.#watchUpstream()
    passAnswer(answer.message, this.#response, this.#answerTerms(answer, route))
    this.#status = answer.status
  }

  #switch(answer: Answer, route: Route, tunnel: NonNullable<UpstreamAnswer['tunnel']>, early: Buffer): void {
    const { reason, fields } = answerHead(answer.message, this.#answerTerms(answer, route))
    const caller = this.request.socket
    this.#watch?.stop()
    this.#status = answer.status
    this.#response.detachSocket(caller)
    const lines = [`HTTP/1.1 101 ${reason}`, 'connection: Upgrade', 'upgrade: websocket']
    for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`)
    caller.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
    caller.write(tunnel.head)
    tunnel.socket.write(early)
    joinTunnel(caller, tunnel.socket, this.#context.clock, () => this.#end())
  }

  #answerProblem(error: unknown): void {
    if (this.#isOver || this.#response.destroyed) return
    const problem =
      error instanceof ProblemError ? error : new ProblemError('internal_error', { cause: error })
    if (problem.code === 'internal_error') this.#context.log.error('call_failed', { error })
    this.#code = problem.code
    this.#context.counters.problem(problem.code)
    if (this.#response.headersSent) {
      this.#cut()
      return
    }
    const { status, reason, headers, body } = problemFor(problem.code, problem.retryAfterS)
    this.#status = status
    const isLast = this.#context.isDraining() || problem.code === 'request_invalid'
    this.#response.writeHead(status, reason, [...headers.flat(), ...(isLast ? ['connection', 'close'] : [])])
    this.#response.end(this.request.method === 'HEAD' ? undefined : body)
  }

  #watchUpstream(): void {
    this.#watch?.stop()
    const { clock, options } = this.#context
    this.#watch = watchSilence(clock, options.upstreamTimeoutMs, () => {
      const isUpstreamSlow = this.#upstreamRequests.at(-1)?.writableNeedDrain === true
      this.fail(this.#body.isComplete || isUpstreamSlow ? 'upstream_timeout' : 'request_timeout')
    })
  }

  /** Ends the caller's connection so that it notices: a body that ends with the connection is whole only after a FIN. */
  #cut(): void {
    const { socket } = this.#response
    if (this.request.httpVersionMinor === 0) socket?.resetAndDestroy()
    else socket?.destroy()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { clock, counters, options } = this.#context
    this.#left.abort(new ProblemError('request_invalid', { detail: 'the caller left' }))
    this.#watch?.stop()
    // Without effect on a request whose exchange is over: its connection is in the pool again.
    for (const request of this.#upstreamRequests) request.destroy()
    this.#body.discard()
    if (!this.request.complete) this.#linger()
    counters.inFlight--
    const durationMs = clock.monotonic() - this.#startedAt
    if (this.#route !== null && this.#status !== null) {
      const method = this.request.method ?? ''
      const counted = COUNTED_METHODS.has(method) ? method : 'OTHER'
      counters.routes.get(this.#route.name)?.answered(counted, this.#status, durationMs / 1000)
    }
    if (options.accessLog === 'all' || (options.accessLog === 'errors' && this.#isError))
      this.#logCall(durationMs)
    this.#resolveDone()
  }

  /** Lets the rest of an upload run into nothing for a while: cutting it could take the answer from the caller. */
  #linger(): void {
    const { socket } = this.request
    if (socket.destroyed) return
    const cancel = this.#context.clock.after(LINGER_MS, () => socket.destroy())
    socket.once('close', cancel)
    this.request.once('end', () => {
      cancel()
      socket.removeListener('close', cancel)
    })
  }

  /** Worth a line although not every call leaves one: the sidecar answered itself, the upstream failed, or no whole answer came. */
  get #isError(): boolean {
    return (
      this.#code !== null || this.#status === null || this.#status >= 500 || !this.#response.writableEnded
    )
  }

  #logCall(durationMs: number): void {
    this.#context.log.info('call', {
      method: this.request.method,
      route: this.#route?.name ?? null,
      path: pathOf(this.request.url ?? ''),
      status: this.#status,
      duration_ms: Math.round(durationMs * 1000) / 1000,
      code: this.#code,
      replayed: this.#replayed,
    })
  }
}

/** What admission judges, from a request as Node's parser gives it. */
export function headOf(request: IncomingMessage): CallHead {
  const fields = request.rawHeaders
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    host: joinedValue(fields, 'host'),
    hostCount: countOf(fields, 'host'),
    origin: joinedValue(fields, 'origin'),
    secFetchSite: joinedValue(fields, 'sec-fetch-site'),
    callerKey: joinedValue(fields, CALLER_KEY_HEADER),
    http10: request.httpVersionMinor === 0,
  }
}

/** Length of the body by its head: 0 when there is none, null when it is chunked. */
function declaredBytes({ headers }: IncomingMessage): number | null {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : null
}
