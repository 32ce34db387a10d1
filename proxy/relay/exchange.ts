import { type ProblemCode, ProblemError } from '../lib/errors.ts'
import type { HeldToken } from '../token/source.ts'
import { Answer } from './answer.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Destination } from './destination.ts'
import { headWith, type Piece, pieceOf } from './piece.ts'
import type { RelayContext } from './relay-context.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import type { RequestHead } from './request-head.ts'
import { Tunnel } from './tunnel.ts'
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts'

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** While a call waits for its token or its connection, this much of its body is read ahead. */
const READ_AHEAD_BYTES = 65_536

/** When connecting took longer, the token is chosen anew: it may have been replaced meanwhile. */
const TOKEN_RECHECK_MS = 100

/**
 * Where a call stands:
 * `holding` no usable token → `connecting` → `awaiting` the answer's head → `answering`; or from `awaiting` to `deciding`
 * whether a rejected call is sent again, and from there back to `connecting` or on to `answering`; or to `tunnelling`.
 */
type Phase = 'idle' | 'holding' | 'connecting' | 'awaiting' | 'deciding' | 'answering' | 'tunnelling'

/**
 * One call: token → send → judge → pass on or send again. A connection has one exchange and uses it for all its calls, one
 * after the other.
 */
export class Exchange implements UpstreamUser {
  readonly #context: RelayContext
  readonly #client: ClientConnection
  readonly #head: RequestHead
  readonly #replay: ReplayBuffer
  readonly #answer: Answer

  #phase: Phase = 'idle'
  /** Tells a late promise that the call it belongs to is over. */
  #number = 0
  #destination: Destination | null = null
  #upstream: UpstreamConnection | null = null
  #token: HeldToken | null = null
  #countsAsUnreplayable = false
  /** The token to be sent once there is a connection, and when it was chosen (monotonic ms). */
  #chosenToken: HeldToken | null = null
  #chosenAt = 0
  #hasWaited = false
  #startedAt = 0
  #sentAt = 0
  /** Monotonic ms of the latest tick before anything moved. */
  #movedAt = 0
  /** Head lines before the token's. */
  #lines = ''
  #unsent: Piece[] = []
  #queuedBytes = 0
  #hasTrailers = false
  #hasBodyBytes = false
  #hasRetried = false
  /** The token that was rejected, when this is the second sending. */
  #replaced: HeldToken | null = null
  #wasReplayed = false
  #rejectedAnswer: Buffer | null = null
  /** The first rejection as the caller will see it should the second sending be rejected too. */
  #firstRejection: { piece: Piece; status: number; leavesClientOpen: boolean } | null = null
  #lostUpstream = false
  #abort: AbortController | null = null
  #tunnel: Tunnel | null = null

  constructor(context: RelayContext, client: ClientConnection, head: RequestHead) {
    this.#context = context
    this.#client = client
    this.#head = head
    this.#replay = new ReplayBuffer(context.replayMemory, context.options.replayBodyLimitBytes)
    this.#answer = new Answer(context, client, head)
  }

  get isActive(): boolean {
    return this.#phase !== 'idle'
  }

  get isTunnel(): boolean {
    return this.#phase === 'tunnelling'
  }

  /** Begins a call whose head was read and admitted. Returns the position in `bytes` up to which they belong to it. */
  begin(destination: Destination, target: string, bytes: Buffer, from: number, to: number): number {
    const head = this.#head
    this.#destination = destination
    this.#startedAt = this.#context.clock.monotonic()
    this.#movedAt = this.#context.ticker.now
    this.#lines = head.forwarded(target, destination.hostLine)
    this.#hasTrailers = false
    this.#hasBodyBytes = false
    this.#hasRetried = false
    this.#hasWaited = false
    this.#replaced = null
    this.#wasReplayed = false
    this.#lostUpstream = false
    this.#context.counters.inFlight++
    this.#phase = 'connecting'
    let end = from
    if (head.framing !== 'none') {
      this.#replay.begin(head.framing === 'length' ? head.contentLength : 0)
      end = this.#readBody(bytes, from, to)
      // An invalid body has ended the call already.
      if (!this.isActive) return end
    }
    this.#dispatch(false)
    return end
  }

  /** More of the request's body. Returns the position in `bytes` up to which they belong to it. */
  onRequestBytes(bytes: Buffer, from: number, to: number): number {
    this.#movedAt = this.#context.ticker.now
    return this.#readBody(bytes, from, to)
  }

  /** The caller is gone, or must go: everything done for the call ends. */
  abandon(): void {
    if (this.#phase === 'idle') return
    this.#tunnel?.destroy()
    this.#dropUpstream()
    this.#end(null, null)
  }

  /** The caller reads again. */
  onClientDrain(): void {
    this.#movedAt = this.#context.ticker.now
    if (this.#phase === 'tunnelling') this.#tunnel?.onClientDrain()
    else if (this.#phase === 'answering') this.#upstream?.resume()
  }

  onTunnelBytes(bytes: Buffer, length: number): void {
    this.#tunnel?.onClientBytes(bytes, length)
  }

  onTunnelEnd(): void {
    this.#tunnel?.onClientEnd()
  }

  /** How long nothing has moved, and whose fault it is. */
  checkSilence(now: number, callerSilenceMs: number): void {
    const silentMs = now - this.#movedAt - this.#context.ticker.tickMs
    const phase = this.#phase
    if (phase === 'tunnelling') this.#tunnel?.checkTime(now)
    if (phase !== 'awaiting' && phase !== 'answering') return
    if (this.#client.isReadingBody) {
      if (silentMs >= callerSilenceMs) this.#fail('request_timeout')
    } else if (phase === 'answering' && this.#client.isBlocked) {
      if (silentMs >= callerSilenceMs) this.#cut()
    } else if (silentMs >= this.#context.options.upstreamTimeoutMs) this.#fail('upstream_timeout')
  }

  // The request's way to the upstream.

  get #isReplayable(): boolean {
    return this.#head.framing === 'none' || this.#replay.keeps
  }

  #readBody(bytes: Buffer, from: number, to: number): number {
    const { reader } = this.#client
    const end = reader.readBody(bytes, from, to)
    if (reader.fault !== null) {
      this.#fail('request_invalid')
      return end
    }
    if (end > from) this.#hasBodyBytes = true
    // Request trailers are thrown away: they could bear names that were kept out of the head (RFC 9110, section 6.5.1).
    let dataEnd = end
    if (this.#hasTrailers) dataEnd = from
    else if (reader.trailerStart >= 0) {
      this.#hasTrailers = true
      dataEnd = reader.trailerStart
    }
    if (dataEnd > from) this.#sendPiece(pieceOf(bytes, from, dataEnd))
    if (reader.complete && this.#hasTrailers) this.#sendPiece('\r\n')
    return end
  }

  #sendPiece(piece: Piece): void {
    if (this.#replay.keeps && !this.#replay.keep(piece)) this.#outgrow()
    if (this.#phase === 'awaiting' || this.#phase === 'answering') {
      if (this.#upstream !== null && !this.#upstream.write(piece)) this.#client.pauseBody()
      return
    }
    if (!this.#replay.keeps) this.#unsent.push(piece)
    this.#queuedBytes += piece.length
    if (this.#queuedBytes > READ_AHEAD_BYTES) this.#client.pauseBody()
  }

  #outgrow(): void {
    const kept = this.#replay.surrender()
    const token = this.#token
    if (token === null) this.#unsent = kept
    else if (!this.#countsAsUnreplayable) {
      this.#countsAsUnreplayable = true
      token.unreplayableInFlight++
    }
  }

  #dispatch(onFreshConnection: boolean): void {
    const token = (this.#destination as Destination).route.tokens.peek(this.#isReplayable)
    if (token === null) this.#hold()
    else this.#connect(token, onFreshConnection)
  }

  #connect(token: HeldToken, onFreshConnection: boolean): void {
    const { pool } = this.#destination as Destination
    this.#phase = 'connecting'
    const idle = onFreshConnection ? null : pool.takeIdle(this)
    if (idle !== null) {
      this.#upstream = idle
      this.#send(token)
      return
    }
    this.#chosenToken = token
    this.#chosenAt = this.#context.clock.monotonic()
    this.#upstream = pool.open(this)
  }

  onConnected(): void {
    const { pool, route } = this.#destination as Destination
    const chosen = this.#chosenToken as HeldToken
    this.#chosenToken = null
    if (this.#context.clock.monotonic() - this.#chosenAt < TOKEN_RECHECK_MS) {
      this.#send(chosen)
      return
    }
    const token = route.tokens.peek(this.#isReplayable) ?? (this.#hasWaited ? this.#ifUsable(chosen) : null)
    if (token !== null) {
      this.#send(token)
      return
    }
    const upstream = this.#upstream as UpstreamConnection
    this.#upstream = null
    pool.release(upstream, -1)
    this.#hold()
  }

  #ifUsable(token: HeldToken): HeldToken | null {
    return token.validTill === null || this.#context.clock.now() < token.validTill ? token : null
  }

  #hold(): void {
    const { counters } = this.#context
    const number = this.#number
    this.#phase = 'holding'
    this.#hasWaited = true
    counters.held++
    this.#destination?.route.tokens.current({ replayable: this.#isReplayable, signal: this.#signal() }).then(
      (token) => {
        if (number !== this.#number) return
        counters.held--
        this.#phase = 'connecting'
        this.#connect(token, false)
      },
      (error: unknown) => {
        if (number !== this.#number) return
        this.#failWith(error)
      },
    )
  }

  #send(token: HeldToken): void {
    const destination = this.#destination as Destination
    let text: string
    try {
      text = this.#lines + destination.credential.with(token)
    } catch (error) {
      this.#failWith(error)
      return
    }
    this.#token = token
    token.inFlight++
    if (!this.#isReplayable) {
      token.unreplayableInFlight++
      this.#countsAsUnreplayable = true
    }
    this.#phase = 'awaiting'
    this.#sentAt = this.#context.clock.monotonic()
    this.#movedAt = this.#context.ticker.now
    this.#inviteBody()
    this.#writeRequest(text, this.#replay.keeps ? this.#replay.pieces : this.#unsent)
  }

  /** Answers `Expect: 100-continue`, once the call is on its way and no sooner (RFC 9110, section 10.1.1). */
  #inviteBody(): void {
    if (!this.#head.expectsContinue) return
    this.#head.expectsContinue = false
    if (!this.#hasBodyBytes) this.#client.write('HTTP/1.1 100 Continue\r\n\r\n')
  }

  #writeRequest(text: string, pieces: readonly Piece[]): void {
    const upstream = this.#upstream as UpstreamConnection
    const [first] = pieces
    let goesOn: boolean
    if (first === undefined) goesOn = upstream.write(text)
    else if (pieces.length === 1 && typeof first === 'string') goesOn = upstream.write(text + first)
    else {
      goesOn = upstream.write(text)
      for (const piece of pieces) goesOn = upstream.write(piece)
    }
    if (this.#unsent.length > 0) this.#unsent = []
    this.#queuedBytes = 0
    if (this.#head.framing === 'none') return
    if (goesOn) this.#client.resumeBody()
    else this.#client.pauseBody()
  }

  onUpstreamDrain(): void {
    this.#movedAt = this.#context.ticker.now
    if (this.#phase === 'awaiting' || this.#phase === 'answering') this.#client.resumeBody()
  }

  // The answer's way back.

  onUpstreamBytes(bytes: Buffer, length: number): void {
    this.#movedAt = this.#context.ticker.now
    if (this.#phase === 'answering') this.#passOn(bytes, 0, length)
    else if (this.#phase === 'awaiting') this.#readAnswerHead(bytes, 0, length)
    // An answer to a request that was not sent.
    else this.#fail('upstream_protocol_error')
  }

  #readAnswerHead(bytes: Buffer, from: number, to: number): void {
    const { reader } = this.#upstream as UpstreamConnection
    let position = from
    for (;;) {
      const start = position
      position = reader.readHead(bytes, start, to)
      if (reader.fault !== null) {
        this.#fail('upstream_protocol_error')
        return
      }
      if (!reader.headComplete) return
      const token = this.#token as HeldToken
      if (!this.#answer.readHead(reader, this.#destination as Destination, token)) {
        this.#fail('upstream_protocol_error')
        return
      }
      const { status } = this.#answer
      if (status === 101) {
        this.#openTunnel(bytes, position, to)
        return
      }
      if (status >= 200) break
      if (!this.#head.http10) this.#client.write(this.#answer.interim())
      reader.next()
      if (position === to) return
    }
    this.#judge(bytes, position, to)
  }

  #judge(bytes: Buffer, from: number, to: number): void {
    const { status } = this.#answer
    const token = this.#token as HeldToken
    if (status >= 400 && this.#context.options.rejectedStatus.has(status)) {
      if (this.#rejected(token, bytes, from, to)) return
    } else this.#accepted(token, status)
    this.#startAnswer(bytes, from, to)
  }

  #accepted(token: HeldToken, status: number): void {
    // A gateway's own answer comes from in front of whatever looks at tokens, so it proves nothing.
    const isProof = status < 502 || status > 504
    if (isProof && this.#sentAt > token.acceptedSentAt) token.acceptedSentAt = this.#sentAt
    const replaced = this.#replaced
    if (replaced === null) return
    this.#replaced = null
    this.#context.counters.replays.accepted++
    if (isProof) this.#destination?.route.tokens.replayAccepted(replaced)
  }

  /** Whether the answer has to wait for a decision. */
  #rejected(token: HeldToken, bytes: Buffer, from: number, to: number): boolean {
    const { counters } = this.#context
    const { tokens } = (this.#destination as Destination).route
    if (this.#replaced !== null) {
      this.#replaced = null
      counters.replays.rejected++
      return this.#passFirstRejection(bytes.subarray(from, to))
    }
    const replayable = this.#isReplayable
    const answer = tokens.replace(token, this.#sentAt, { replayable, signal: this.#signal() })
    if (!replayable) {
      counters.unreplayable++
      answer.catch(() => {})
      return false
    }
    const number = this.#number
    this.#phase = 'deciding'
    this.#rejectedAnswer = Buffer.from(bytes.subarray(from, to))
    this.#upstream?.pause()
    if (!this.#client.reader.complete) this.#client.pauseBody()
    answer.then(
      (replacement) => {
        if (number === this.#number) this.#decided(token, replacement)
      },
      () => {
        if (number === this.#number) this.#decided(token, null)
      },
    )
    return true
  }

  #decided(rejected: HeldToken, replacement: HeldToken | null): void {
    const bytes = this.#rejectedAnswer as Buffer
    this.#rejectedAnswer = null
    this.#movedAt = this.#context.ticker.now
    if (replacement === null || !this.#isReplayable) {
      this.#client.resumeBody()
      this.#startAnswer(bytes, 0, bytes.length)
      if (this.#phase !== 'answering') return
      if (this.#lostUpstream) this.#cut()
      else this.#upstream?.resume()
      return
    }
    this.#replaced = rejected
    this.#wasReplayed = true
    this.#releaseToken()
    const upstream = this.#upstream
    this.#upstream = null
    this.#keepFirstRejection(bytes)
    if (upstream !== null) {
      if (this.#firstRejection !== null && !this.#lostUpstream && this.#answer.leavesUpstreamOpen)
        this.#reuse(upstream)
      else upstream.destroy()
    }
    this.#lostUpstream = false
    this.#hasWaited = true
    this.#connect(replacement, false)
  }

  #keepFirstRejection(bytes: Buffer): void {
    if (!this.#client.reader.complete) return
    const piece = this.#answer.start(bytes, 0, bytes.length)
    if (piece === null || !this.#answer.isComplete) return
    const { status, leavesClientOpen } = this.#answer
    this.#firstRejection = { piece, status, leavesClientOpen }
  }

  /** Whether the first rejection is still at hand; if it was too long to keep, the second one passes. */
  #passFirstRejection(second: Buffer): boolean {
    const first = this.#firstRejection
    if (first === null) return false
    const upstream = this.#upstream
    this.#upstream = null
    if (upstream !== null && this.#answer.discard(second)) this.#reuse(upstream)
    else upstream?.destroy()
    this.#client.write(first.piece)
    this.#end(first.status, null)
    this.#client.answered(first.leavesClientOpen && this.#client.mayStayOpen)
    return true
  }

  #startAnswer(bytes: Buffer, from: number, to: number): void {
    const piece = this.#answer.start(bytes, from, to)
    if (piece === null) {
      this.#fail('upstream_protocol_error')
      return
    }
    this.#phase = 'answering'
    this.#deliver(piece, this.#upstream)
  }

  #passOn(bytes: Buffer, from: number, to: number): void {
    const piece = this.#answer.more(bytes, from, to)
    if (piece === null) {
      this.#cut()
      return
    }
    this.#deliver(piece, this.#upstream)
  }

  #deliver(piece: Piece, upstream: UpstreamConnection | null): void {
    const goesOn = piece.length === 0 || this.#client.write(piece)
    if (this.#answer.isComplete) this.#finish(upstream)
    else if (!goesOn) upstream?.pause()
  }

  #finish(upstream: UpstreamConnection | null): void {
    const answer = this.#answer
    const client = this.#client
    const requestComplete = client.reader.complete
    this.#upstream = null
    if (upstream !== null) {
      if (requestComplete && answer.leavesUpstreamOpen) this.#reuse(upstream)
      else upstream.destroy()
    }
    this.#end(answer.status, null)
    client.answered(answer.leavesClientOpen && requestComplete)
  }

  #reuse(upstream: UpstreamConnection): void {
    upstream.reader.next()
    upstream.isUsed = true
    // It may have been paused while its answer was decided on, or not read fast enough.
    upstream.resume()
    this.#destination?.pool.release(upstream, this.#answer.keepAliveS)
  }

  onUpstreamEnd(): void {
    if (this.#phase === 'deciding') {
      this.#lostUpstream = true
      return
    }
    const upstream = this.#upstream
    if (this.#phase === 'answering' && this.#answer.endsWithUpstream) {
      this.#upstream = null
      upstream?.destroy()
      const rest = this.#answer.end()
      if (rest.length > 0) this.#client.write(rest)
      this.#finish(null)
      return
    }
    this.#upstream = null
    upstream?.destroy()
    this.#loseUpstream(upstream)
  }

  onUpstreamClosed(): void {
    const upstream = this.#upstream
    this.#upstream = null
    if (this.#phase === 'deciding') {
      this.#lostUpstream = true
      return
    }
    this.#loseUpstream(upstream)
  }

  #loseUpstream(upstream: UpstreamConnection | null): void {
    if (this.#phase === 'answering') {
      this.#cut()
      return
    }
    const wasSilent = upstream !== null && !upstream.reader.midHead && !upstream.reader.headComplete
    // The upstream closed an idle connection while the call was on its way; what may be repeated is, on a new one, once.
    if (
      this.#phase === 'awaiting' &&
      wasSilent &&
      upstream.isUsed &&
      !this.#hasRetried &&
      this.#isReplayable &&
      IDEMPOTENT.has(this.#head.method)
    ) {
      this.#hasRetried = true
      this.#releaseToken()
      this.#dispatch(true)
      return
    }
    this.#fail(wasSilent || this.#phase === 'connecting' ? 'upstream_unreachable' : 'upstream_protocol_error')
  }

  #openTunnel(bytes: Buffer, from: number, to: number): void {
    const upstream = this.#upstream as UpstreamConnection
    if (!this.#head.isUpgrade || !this.#answer.acceptsWebSocket) {
      this.#fail('upstream_protocol_error')
      return
    }
    this.#accepted(this.#token as HeldToken, 101)
    this.#releaseToken()
    this.#phase = 'tunnelling'
    const client = this.#client
    client.write(headWith(this.#answer.switching(), bytes, from, to))
    this.#tunnel = new Tunnel(client, upstream, this.#context.ticker, () => this.#closeTunnel())
    upstream.user = this.#tunnel
    client.startTunnel()
  }

  #closeTunnel(): void {
    if (this.#phase !== 'tunnelling') return
    this.#upstream = null
    this.#end(101, null)
    this.#client.tunnelClosed()
  }

  // How calls end.

  #failWith(error: unknown): void {
    if (error instanceof ProblemError) this.#fail(error.code, error.retryAfterS)
    else {
      this.#context.log.error('call_failed', { error })
      this.#fail('internal_error')
    }
  }

  /** Answers with a problem; once the answer has begun there is nothing left but to cut it off. */
  #fail(code: ProblemCode, retryAfterS?: number): void {
    if (this.#phase === 'answering') {
      this.#cut(code)
      return
    }
    const client = this.#client
    const keepsOpen = client.reader.complete && client.reader.fault === null
    this.#dropUpstream()
    const status = client.writeProblem(code, retryAfterS, keepsOpen)
    this.#end(status, code)
    client.answered(keepsOpen && client.mayStayOpen)
  }

  /** A truncated answer must not look complete. */
  #cut(code: ProblemCode | null = null): void {
    const endsWithConnection = this.#answer.endsWithConnection
    this.#dropUpstream()
    this.#end(this.#answer.status, code ?? 'upstream_protocol_error')
    this.#client.cut(endsWithConnection)
  }

  #dropUpstream(): void {
    const upstream = this.#upstream
    this.#upstream = null
    upstream?.destroy()
  }

  /** Books the end of the call. `status` null: nobody was left to answer. */
  #end(status: number | null, code: ProblemCode | null): void {
    const { counters, clock } = this.#context
    const destination = this.#destination as Destination
    this.#releaseToken()
    if (this.#phase === 'holding') counters.held--
    if (this.#replaced !== null) counters.replays.failed++
    this.#phase = 'idle'
    this.#number++
    this.#replaced = null
    this.#tunnel = null
    this.#rejectedAnswer = null
    this.#firstRejection = null
    this.#chosenToken = null
    this.#lines = ''
    if (this.#unsent.length > 0) this.#unsent = []
    this.#queuedBytes = 0
    this.#replay.clear()
    if (this.#abort !== null) {
      const abort = this.#abort
      this.#abort = null
      if (status === null) abort.abort()
    }
    counters.inFlight--
    if (counters.inFlight === 0) this.#context.onIdle?.()
    if (status === null) return
    const durationMs = clock.monotonic() - this.#startedAt
    destination.counters.answered(methodLabel(this.#head.method), status, durationMs / 1000)
    this.#context.recordCall(this.#head, destination.route.name, status, durationMs, code, this.#wasReplayed)
  }

  #releaseToken(): void {
    const token = this.#token
    if (token === null) return
    this.#token = null
    token.inFlight--
    if (!this.#countsAsUnreplayable) return
    this.#countsAsUnreplayable = false
    token.unreplayableInFlight--
  }

  #signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

const methodLabel = (method: string): string => (METHODS.has(method) ? method : 'OTHER')
