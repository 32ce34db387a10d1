import type { ClientRequest, IncomingMessage } from 'node:http'
import { ProblemError } from '../../proxy/lib/errors.ts'
import type { Admitted } from '../../proxy/relay/admission.ts'
import type { HeldToken, Waiting } from '../../proxy/token/source.ts'
import type { CallContext } from './http-proxy-call.ts'
import { StaleConnectionError, type UpstreamAnswer } from './http-proxy-exchange.ts'
import { KeptBody } from './kept-body.ts'
import { type SilenceWatch, watchSilence } from './silence.ts'

/** The head of an answer with what the call was sent with. */
export interface Answer extends UpstreamAnswer {
  readonly token: HeldToken
  readonly status: number
}

/** What the call wants to know of its sending. */
export interface SendingEvents {
  /** Nothing has happened for too long; `code` says whose silence it is. */
  onSilence(code: 'upstream_timeout' | 'request_timeout'): void
  /** The body is about to be read for the first time. */
  onBodyWanted(): void
  onInformation(status: number, rawHeaders: string[], token: HeldToken): void
}

const MOST_REPLAYS = 2
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** The upstream's side of one call: sent with a token, judged, sent again when the token was rejected. */
export class Sending {
  /** Whether the call was sent again with another token. */
  replayed = false
  readonly #context: CallContext
  readonly #request: IncomingMessage
  readonly #isUpgrade: boolean
  readonly #events: SendingEvents
  readonly #body: KeptBody
  readonly #ended = new AbortController()
  readonly #upstreamRequests: ClientRequest[] = []
  #watch: SilenceWatch | null = null
  /** The token on its way upstream, until the verdict. */
  #carried: HeldToken | null = null

  constructor(context: CallContext, request: IncomingMessage, isUpgrade: boolean, events: SendingEvents) {
    this.#context = context
    this.#request = request
    this.#isUpgrade = isUpgrade
    this.#events = events
    this.#body = new KeptBody(request, {
      declaredBytes: declaredBytes(request),
      limitBytes: context.options.replayBodyLimitBytes,
      memory: context.memory,
      onLost: () => {
        if (this.#carried !== null) this.#carried.unreplayableInFlight++
      },
      onProgress: () => this.touch(),
    })
  }

  /**
   * Whether it is certain before sending that the call can be sent again: not for a body of unknown length, although that
   * is kept too while it fits.
   */
  get isReplayable(): boolean {
    return this.#body.isKept && declaredBytes(this.#request) !== null
  }

  /** For a wait of this call: ends with it. */
  waiting(replayable: boolean): Waiting {
    return { replayable, signal: this.#ended.signal }
  }

  /** The answer to pass on: that of the first sending, or that of a replay that was accepted. */
  async answer(admitted: Admitted, token: HeldToken): Promise<Answer> {
    const { counters, options } = this.#context
    const { tokens } = admitted.route
    let [last, sentAt] = await this.#send(admitted, token)
    const first = last
    for (let replays = 0; options.rejectedStatus.has(last.status); replays++) {
      if (replays > 0) counters.replays.rejected++
      if (last !== first) last.message.resume()
      this.#watch?.stop()
      const mayReplay = replays < MOST_REPLAYS
      const replayable = this.#body.isKept && mayReplay
      const about = { ...this.waiting(replayable), isReplay: replays > 0 }
      const replacing = tokens.replace(last.token, sentAt, about).catch(() => null)
      // Told, but not waited for, when nothing could be done with the replacement.
      const replacement = replayable ? await replacing : null
      this.#ended.signal.throwIfAborted()
      // The rest of an upload may have outgrown the limits during the wait.
      if (mayReplay && !this.#body.isKept) counters.unreplayable++
      if (replacement === null || !this.#body.isKept) return first

      this.replayed = true
      const replaced = last.token
      ;[last, sentAt] = await this.#send(admitted, replacement).catch((error: unknown) => {
        counters.replays.failed++
        throw error
      })
      if (options.rejectedStatus.has(last.status)) continue
      counters.replays.accepted++
      tokens.replayAccepted(replaced)
    }
    if (last !== first) first.message.resume()
    return last
  }

  /** Starts to watch for silence, anew when it watches already. */
  watch(): void {
    this.#watch?.stop()
    const { clock, options } = this.#context
    this.#watch = watchSilence(clock, options.upstreamTimeoutMs, () => {
      const isUpstreamFull = this.#upstreamRequests.at(-1)?.writableNeedDrain === true
      this.#events.onSilence(this.#body.isComplete || isUpstreamFull ? 'upstream_timeout' : 'request_timeout')
    })
  }

  touch(): void {
    this.#watch?.touch()
  }

  /** Stops watching: a tunnel may be silent for as long as it likes. */
  unwatch(): void {
    this.#watch?.stop()
  }

  /** Breaks off whatever is under way; what is waited for rejects with the reason. */
  abort(reason: ProblemError): void {
    this.#ended.abort(reason)
    // Without effect on a request whose exchange is over: its connection is in the pool again.
    for (const request of this.#upstreamRequests) request.destroy(reason)
  }

  /** For when the call is over. */
  end(): void {
    this.abort(new ProblemError('request_invalid', { detail: 'the call is over' }))
    this.unwatch()
    this.#body.discard()
  }

  /** Sends the call with a token; a second time only when a pooled connection had died unseen and the method allows it. */
  async #send(admitted: Admitted, token: HeldToken): Promise<[answer: Answer, sentAt: number]> {
    this.#carried = token
    token.inFlight++
    if (!this.#body.isKept) token.unreplayableInFlight++
    try {
      return await this.#sendOn(admitted, token, true).catch((error: unknown) => {
        const isRepeatable = IDEMPOTENT.has(this.#request.method ?? '') && this.#body.isKept
        if (!(error instanceof StaleConnectionError) || !isRepeatable) throw error
        return this.#sendOn(admitted, token, false)
      })
    } finally {
      this.#carried = null
      token.inFlight--
      if (!this.#body.isKept) token.unreplayableInFlight--
    }
  }

  async #sendOn({ route, target }: Admitted, token: HeldToken, pooled: boolean): Promise<[Answer, number]> {
    this.#ended.signal.throwIfAborted()
    const { clock, exchange, fields, options } = this.#context
    const { rawHeaders, method = '' } = this.#request
    if (!this.#body.isComplete) this.#events.onBodyWanted()
    const sentAt = clock.monotonic()
    this.watch()
    const answer = await exchange({
      upstream: route.upstream,
      method,
      target,
      header: fields.header(rawHeaders, route, token, this.#isUpgrade),
      body: this.#isUpgrade ? null : this.#body.open(),
      hasBody: declaredBytes(this.#request) !== 0,
      trailers: () => fields.trailers(this.#request.rawTrailers),
      pooled,
      onRequest: (request) => {
        this.#upstreamRequests.push(request)
        if (this.#ended.signal.aborted) request.destroy(this.#ended.signal.reason as Error)
      },
      onInformation: (status, raw) => this.#events.onInformation(status, raw, token),
    })
    this.touch()
    const status = answer.message.statusCode ?? 0
    if (!options.rejectedStatus.has(status)) token.acceptedSentAt = Math.max(token.acceptedSentAt, sentAt)
    return [{ ...answer, token, status }, sentAt]
  }
}

/** Length of the body by its head: 0 when there is none, null when it is chunked. */
function declaredBytes({ headers }: IncomingMessage): number | null {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : null
}
