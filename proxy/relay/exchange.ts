import { type ProblemCode, ProblemError } from '../lib/errors.ts'
import type { HeldToken } from '../token/source.ts'
import { Answer } from './answer.ts'
import { CarriedToken } from './carried-token.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Destination } from './destination.ts'
import { headWith, type Piece } from './piece.ts'
import type { RelayContext } from './relay-context.ts'
import type { RequestHead } from './request-head.ts'
import { Tunnel } from './tunnel.ts'
import { Upload } from './upload.ts'
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts'

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

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
  readonly #upload: Upload
  readonly #answer: Answer
  readonly #carried = new CarriedToken()

  #phase: Phase = 'idle'
  /** Tells a late promise that the call it belongs to is over. */
  #number = 0
  #destination: Destination | null = null
  #upstream: UpstreamConnection | null = null
  /** The token to be sent once there is a connection, and when it was chosen (monotonic ms). */
  #chosenToken: HeldToken | null = null
  #chosenAt = 0
  #hasWaited = false
  #startedAt = 0
  /** Monotonic ms of the latest tick before anything moved. */
  #movedAt = 0
  /** Head lines before the token's. */
  #lines = ''
  /** The upstream has answered, be it with an interim answer. */
  #hasAnswer = false
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
    this.#upload = new Upload(context, client, head, () => this.#carried.becomeUnreplayable())
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
    this.#hasAnswer = false
    this.#hasRetried = false
    this.#hasWaited = false
    this.#replaced = null
    this.#wasReplayed = false
    this.#lostUpstream = false
    this.#context.counters.inFlight++
    this.#phase = 'connecting'
    this.#upload.begin()
    const end = this.#readBody(bytes, from, to)
    // An invalid body has ended the call already.
    if (!this.isActive) return end
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

  #readBody(bytes: Buffer, from: number, to: number): number {
    if (this.#head.framing === 'none') return from
    const end = this.#upload.read(bytes, from, to)
    if (this.#client.reader.fault !== null) this.#fail('request_invalid')
    return end
  }

  #dispatch(onFreshConnection: boolean): void {
    const token = (this.#destination as Destination).route.tokens.peek(this.#upload.isReplayable)
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
    const token =
      route.tokens.peek(this.#upload.isReplayable) ?? (this.#hasWaited ? this.#ifUsable(chosen) : null)
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
    this.#destination?.route.tokens
      .current({ replayable: this.#upload.isReplayable, signal: this.#signal() })
      .then(
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
    this.#phase = 'awaiting'
    this.#movedAt = this.#context.ticker.now
    this.#carried.take(token, this.#context.clock.monotonic(), this.#upload.isReplayable)
    this.#upload.send(this.#upstream as UpstreamConnection, text)
  }

  onUpstreamDrain(): void {
    this.#movedAt = this.#context.ticker.now
    this.#upload.onUpstreamDrain()
  }

  // The answer's way back.

  onUpstreamBytes(bytes: Buffer, length: number): void {
    this.#movedAt = this.#context.ticker.now
    if (this.#phase === 'answering') this.#passOn(bytes, 0, length)
    else if (this.#phase === 'awaiting') this.#readAnswerHead(bytes, 0, length)
    else if (this.#phase === 'deciding') {
      // TLS hands over what it has decrypted even when it is paused.
      this.#rejectedAnswer = Buffer.concat([this.#rejectedAnswer as Buffer, bytes.subarray(0, length)])
    }
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
      this.#hasAnswer = true
      if (!this.#answer.readHead(reader, this.#destination as Destination, this.#carried.token)) {
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
    if (status >= 400 && this.#context.options.rejectedStatus.has(status)) {
      if (this.#rejected(bytes, from, to)) return
    } else this.#accepted(status)
    this.#startAnswer(bytes, from, to)
  }

  #accepted(status: number): void {
    const isProof = this.#carried.accept(status)
    const replaced = this.#replaced
    if (replaced === null) return
    this.#replaced = null
    this.#context.counters.replays.accepted++
    if (isProof) this.#destination?.route.tokens.replayAccepted(replaced)
  }

  /** Whether the answer has to wait for a decision. */
  #rejected(bytes: Buffer, from: number, to: number): boolean {
    const { counters } = this.#context
    const { tokens } = (this.#destination as Destination).route
    if (this.#replaced !== null) {
      this.#replaced = null
      counters.replays.rejected++
      return this.#passFirstRejection(bytes.subarray(from, to))
    }
    const replayable = this.#upload.isReplayable
    const { token, sentAt } = this.#carried
    const answer = tokens.replace(token, sentAt, { replayable, signal: this.#signal() })
    if (!replayable) {
      counters.unreplayable++
      answer.catch(() => {})
      return false
    }
    const number = this.#number
    this.#phase = 'deciding'
    this.#rejectedAnswer = Buffer.from(bytes.subarray(from, to))
    this.#upstream?.pause()
    this.#upload.halt()
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
    if (replacement === null || !this.#upload.isReplayable) {
      this.#upload.goOn(this.#upstream)
      this.#startAnswer(bytes, 0, bytes.length)
      if (this.#phase !== 'answering') return
      if (this.#lostUpstream) this.#cut()
      else this.#upstream?.resume()
      return
    }
    this.#replaced = rejected
    this.#wasReplayed = true
    this.#carried.release()
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
      !this.#hasAnswer &&
      upstream.isUsed &&
      !this.#hasRetried &&
      this.#upload.isReplayable &&
      IDEMPOTENT.has(this.#head.method)
    ) {
      this.#hasRetried = true
      this.#upload.halt()
      this.#carried.release()
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
    this.#accepted(101)
    this.#carried.release()
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
    this.#carried.release()
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
    this.#upload.end()
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

  #signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

const methodLabel = (method: string): string => (METHODS.has(method) ? method : 'OTHER')
