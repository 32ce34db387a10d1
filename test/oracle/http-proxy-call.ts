import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RecordCall } from '../../proxy/lib/call-line.ts'
import type { Clock } from '../../proxy/lib/clock.ts'
import { type ProblemCode, ProblemError } from '../../proxy/lib/errors.ts'
import type { Log } from '../../proxy/lib/log.ts'
import {
  type Admission,
  type Admitted,
  CALLER_KEY_HEADER,
  type CallHead,
} from '../../proxy/relay/admission.ts'
import { requestIdIn, traceIdIn } from '../../proxy/relay/call-ids.ts'
import type { TrafficCounters } from '../../proxy/relay/counters.ts'
import type { ForwarderOptions, Route } from '../../proxy/relay/forwarder.ts'
import { pathOf } from '../../proxy/relay/path.ts'
import { problemFor } from '../../proxy/relay/problem.ts'
import type { ReplayMemory } from '../../proxy/relay/replay-buffer.ts'
import type { HeldToken } from '../../proxy/token/source.ts'
import { answerTrailers, countOf, joinedValue, maskOf, type RequestFields } from './forwarded-headers.ts'
import { type AnswerTerms, answerHead, passAnswer } from './http-proxy-answer.ts'
import type { Exchange, UpstreamAnswer } from './http-proxy-exchange.ts'
import { type Answer, Sending } from './http-proxy-sending.ts'
import { joinTunnel } from './http-proxy-tunnel.ts'

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
  readonly recordCall: RecordCall
  isDraining(): boolean
}

/** How long the rest of an upload may run into nothing after the answer, so that the caller gets to read that. */
export const LINGER_MS = 5_000

/** The methods of RFC 9110; others are counted together, or a caller could make up metrics without end. */
const COUNTED_METHODS: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH'.split(' '),
)

/** The caller's side of one call: admitted, given a token, answered, counted. */
export class Call {
  readonly request: IncomingMessage
  /** Resolves when the caller has its answer or has left. */
  readonly done: Promise<void>
  readonly #context: CallContext
  readonly #response: ServerResponse
  readonly #sending: Sending
  readonly #startedAt: number
  #route: Route | null = null
  #status: number | null = null
  #code: ProblemCode | null = null
  #awaitsContinue: boolean
  /** Nothing more can be read from the caller's connection. */
  #isBroken = false
  #isOver = false
  #resolveDone: () => void = () => {}

  constructor(context: CallContext, request: IncomingMessage, response: ServerResponse, isUpgrade: boolean) {
    this.#context = context
    this.request = request
    this.#response = response
    this.#startedAt = context.clock.monotonic()
    this.#awaitsContinue = request.httpVersionMinor > 0 && /100-continue/i.test(request.headers.expect ?? '')
    this.#sending = new Sending(context, request, isUpgrade, {
      onSilence: (code) => this.fail(code),
      onBodyWanted: () => {
        if (this.#awaitsContinue) response.writeContinue()
        this.#awaitsContinue = false
      },
      onInformation: (status, rawHeaders, token) => this.#passHints(status, rawHeaders, token),
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
      const { route } = admitted
      this.#route = route
      const token = route.tokens.peek(this.#sending.isReplayable) ?? (await this.#heldToken(route))
      const answer = await this.#sending.answer(admitted, token)
      if (answer.tunnel === null) this.#pass(answer, route)
      else this.#switch(answer, route, answer.tunnel, takeEarlyBytes())
    } catch (error) {
      this.#answerProblem(error)
    }
  }

  /** Ends the call with a problem; when the answer is already under way, by cutting it short. */
  fail(code: ProblemCode): void {
    this.#isBroken ||= !this.request.complete
    if (this.#response.headersSent) this.#cut()
    else this.#sending.abort(new ProblemError(code))
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

  async #heldToken(route: Route): Promise<HeldToken> {
    this.#context.counters.held++
    try {
      return await route.tokens.current(this.#sending.waiting(this.#sending.isReplayable))
    } finally {
      this.#context.counters.held--
    }
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
      hasTrailers: this.request.method !== 'HEAD' && this.request.httpVersionMinor > 0,
      isLast: this.#context.isDraining(),
      onProgress: () => this.#sending.touch(),
      onTruncated: () => this.#cut(),
    }
  }

  #pass(answer: Answer, route: Route): void {
    this.#sending.watch()
    passAnswer(answer.message, this.#response, this.#answerTerms(answer, route))
    this.#status = answer.status
  }

  #switch(answer: Answer, route: Route, tunnel: NonNullable<UpstreamAnswer['tunnel']>, early: Buffer): void {
    const { reason, fields } = answerHead(answer.message, this.#answerTerms(answer, route))
    const caller = this.request.socket
    this.#sending.unwatch()
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
    const { status, reason, headers, body } = problemFor(
      problem.code,
      problem.retryAfterS,
      requestIdIn(fieldLines(this.request)),
    )
    this.#status = status
    const isLast = this.#context.isDraining() || this.#isBroken
    this.#response.writeHead(status, reason, [...headers.flat(), ...(isLast ? ['connection', 'close'] : [])])
    this.#response.end(this.request.method === 'HEAD' ? undefined : body)
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
    this.#sending.end()
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
    if (this.#code !== null || this.#status === null || this.#status >= 500) return true
    return this.#status !== 101 && !this.#response.writableEnded
  }

  #logCall(durationMs: number): void {
    if (this.#status === null) return
    const lines = fieldLines(this.request)
    this.#context.recordCall({
      method: this.request.method ?? '',
      route: this.#route?.name ?? null,
      path: pathOf(this.request.url ?? ''),
      status: this.#status,
      durationMs,
      code: this.#code,
      replayed: this.#sending.replayed,
      requestId: requestIdIn(lines),
      traceId: traceIdIn(lines),
    })
  }
}

function fieldLines({ rawHeaders }: IncomingMessage): string {
  return rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
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
