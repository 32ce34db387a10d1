import { type ProblemCode, ProblemError } from '../lib/errors.ts'
import type { HeldToken } from '../token/source.ts'
import { Answer } from './answer.ts'
import { callFields } from './call-log.ts'
import { CallRecord } from './call-record.ts'
import { CarriedToken } from './carried-token.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Destination } from './destination.ts'
import { Dispatch, type Dispatched } from './dispatch.ts'
import { headWith, type Piece } from './piece.ts'
import type { RelayContext } from './relay-context.ts'
import { type FirstRejection, Replay } from './replay.ts'
import type { RequestHead } from './request-head.ts'
import { TokenWait } from './token-wait.ts'
import { Tunnel } from './tunnel.ts'
import { Upload } from './upload.ts'
import type { UpstreamConnection } from './upstream-connection.ts'

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/**
 * Where a call stands:
 * `dispatching` until it has a token and a connection → `awaiting` the answer's head → `answering`; or from `awaiting` to
 * `deciding` whether a rejected call is sent again, and from there back to `dispatching` or on to `answering`; or to `tunnelling`.
 */
type Phase = 'idle' | 'dispatching' | 'awaiting' | 'deciding' | 'answering' | 'tunnelling'

/**
 * One call: token → send → judge → pass on or send again. A connection has one exchange and uses it for all its calls, one
 * after the other.
 */
export class Exchange implements Dispatched {
  readonly #context: RelayContext
  readonly #client: ClientConnection
  readonly #head: RequestHead
  readonly #record: CallRecord
  readonly #carried = new CarriedToken()
  readonly #wait = new TokenWait()
  readonly #upload: Upload
  readonly #dispatch: Dispatch
  readonly #replay: Replay
  readonly #answer: Answer

  #phase: Phase = 'idle'
  #destination: Destination | null = null
  /** The connection that the call was sent on. */
  #upstream: UpstreamConnection | null = null
  /** Monotonic ms of the latest tick before anything moved. */
  #movedAt = 0
  /** The upstream has answered, be it with an interim answer. */
  #hasAnswer = false
  #hasRetried = false
  #tunnel: Tunnel | null = null

  constructor(context: RelayContext, client: ClientConnection, head: RequestHead) {
    this.#context = context
    this.#client = client
    this.#head = head
    this.#record = new CallRecord(context, head)
    this.#upload = new Upload(context, client, head, () => this.#carried.becomeUnreplayable())
    this.#dispatch = new Dispatch(context, this, this.#upload, this.#carried, this.#wait)
    this.#replay = new Replay(context.counters, this.#carried, this.#wait)
    this.#answer = new Answer(context, client, head)
  }

  get isActive(): boolean {
    return this.#phase !== 'idle'
  }

  get isTunnel(): boolean {
    return this.#phase === 'tunnelling'
  }

  /** An answer is under way that ends with the caller's connection, so that ending it in order would make it look complete. */
  get endsWithConnection(): boolean {
    return this.#phase === 'answering' && this.#answer.endsWithConnection
  }

  /** Begins a call whose head was read and admitted. Returns the position in `bytes` up to which they belong to it. */
  begin(destination: Destination, target: string, bytes: Buffer, from: number, to: number): number {
    this.#destination = destination
    this.#movedAt = this.#context.ticker.now
    this.#hasAnswer = false
    this.#hasRetried = false
    this.#phase = 'dispatching'
    this.#record.begin()
    this.#replay.begin()
    const lines = this.#head.forwarded(target, destination.hostLine)
    this.#dispatch.begin(destination, lines, IDEMPOTENT.has(this.#head.method))
    this.#upload.begin()
    const end = this.#readBody(bytes, from, to)
    // An invalid body has ended the call already.
    if (this.isActive) this.#dispatch.send(false)
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
    else if (this.#phase === 'answering' || this.#phase === 'awaiting') this.#upstream?.resume()
  }

  onTunnelBytes(bytes: Buffer, length: number): void {
    this.#tunnel?.onClientBytes(bytes, length)
  }

  onTunnelEnd(): void {
    this.#tunnel?.onClientEnd()
  }

  /** How long nothing has moved, at least. */
  silentMs(now: number): number {
    return now - this.#movedAt - this.#context.ticker.tickMs
  }

  /** Ends the call when nothing has moved for too long, by whose fault it is. */
  checkSilence(now: number, callerSilenceMs: number): void {
    const silentMs = this.silentMs(now)
    const phase = this.#phase
    if (phase === 'tunnelling') this.#tunnel?.checkTime(now)
    if (phase !== 'awaiting' && phase !== 'answering') return
    if (this.#client.isReadingBody) {
      if (silentMs >= callerSilenceMs) this.#fail('request_timeout')
    } else if (this.#client.isBlocked) {
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

  onConnected(): void {
    this.#dispatch.onConnected()
  }

  onSending(upstream: UpstreamConnection): void {
    this.#phase = 'awaiting'
    this.#upstream = upstream
    this.#movedAt = this.#context.ticker.now
  }

  onUnsendable(error: unknown): void {
    this.#failWith(error)
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
    else if (this.#phase === 'deciding') this.#replay.add(bytes.subarray(0, length))
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
      // There may be any number of them.
      if (!this.#head.http10 && !this.#client.write(this.#answer.interim())) this.#upstream?.pause()
      reader.next()
      if (position === to) return
    }
    this.#judge(bytes, position, to)
  }

  #judge(bytes: Buffer, from: number, to: number): void {
    const { status } = this.#answer
    const { tokens } = (this.#destination as Destination).route
    const replay = this.#replay
    if (status < 400 || !this.#context.options.rejectedStatus.has(status)) replay.accepted(status, tokens)
    else {
      const decided = (replacement: HeldToken | null) => this.#decided(replacement)
      if (replay.considers(tokens, this.#upload.isReplayable, bytes.subarray(from, to), decided)) {
        this.#phase = 'deciding'
        this.#upstream?.pause()
        this.#upload.halt()
        return
      }
      if (replay.first !== null) {
        this.#passFirst(replay.first, bytes.subarray(from, to))
        return
      }
    }
    this.#startAnswer(bytes, from, to)
  }

  #decided(replacement: HeldToken | null): void {
    this.#movedAt = this.#context.ticker.now
    if (replacement === null || !this.#upload.isReplayable) this.#passRejection()
    else this.#sendAgain(replacement)
  }

  #passRejection(): void {
    const bytes = this.#replay.takeAnswer()
    if (this.#replay.first !== null) {
      this.#passFirst(this.#replay.first, bytes)
      return
    }
    this.#upload.goOn(this.#upstream)
    this.#startAnswer(bytes, 0, bytes.length)
    if (this.#phase !== 'answering') return
    if (this.#replay.lostUpstream) this.#cut()
    else this.#upstream?.resume()
  }

  #sendAgain(replacement: HeldToken): void {
    const upstream = this.#upstream
    this.#upstream = null
    const isWhole = this.#replay.begins(this.#answer, this.#client.reader.complete)
    if (upstream !== null) {
      if (isWhole && !this.#replay.lostUpstream && this.#answer.leavesUpstreamOpen) this.#reuse(upstream)
      else upstream.destroy()
    }
    this.#replay.lostUpstream = false
    this.#hasAnswer = false
    this.#phase = 'dispatching'
    this.#dispatch.sendAgain(replacement)
  }

  #passFirst(first: FirstRejection, second: Buffer): void {
    const upstream = this.#upstream
    this.#upstream = null
    if (upstream !== null && this.#answer.discard(second) && !this.#replay.lostUpstream) this.#reuse(upstream)
    else upstream?.destroy()
    this.#client.write(first.piece)
    this.#end(first.status, null)
    this.#client.answered(first.leavesClientOpen && this.#client.mayStayOpen)
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
      if (requestComplete && answer.leavesUpstreamOpen && !this.#replay.lostUpstream) this.#reuse(upstream)
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
      this.#replay.lostUpstream = true
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
      this.#replay.lostUpstream = true
      return
    }
    if (this.#phase === 'dispatching') this.#dispatch.onConnectFailed()
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
      !this.#hasRetried &&
      this.#dispatch.mayGoAgain(upstream)
    ) {
      this.#hasRetried = true
      this.#upload.halt()
      this.#carried.release()
      this.#phase = 'dispatching'
      this.#dispatch.send(true)
      return
    }
    this.#fail(
      wasSilent || this.#phase === 'dispatching' ? 'upstream_unreachable' : 'upstream_protocol_error',
    )
  }

  #openTunnel(bytes: Buffer, from: number, to: number): void {
    const upstream = this.#upstream as UpstreamConnection
    if (!this.#head.isUpgrade || !this.#answer.acceptsWebSocket) {
      this.#fail('upstream_protocol_error')
      return
    }
    this.#replay.accepted(101, (this.#destination as Destination).route.tokens)
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
      this.#context.log.error('call_failed', { ...callFields(this.#head), error })
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

  /** `status` null: nobody was left to answer. */
  #end(status: number | null, code: ProblemCode | null): void {
    const { wasSent } = this.#replay
    this.#phase = 'idle'
    this.#tunnel = null
    this.#carried.release()
    this.#dispatch.end()
    this.#replay.end()
    this.#upload.end()
    this.#wait.end(status === null)
    this.#record.end(this.#destination as Destination, status, code, wasSent)
  }
}
