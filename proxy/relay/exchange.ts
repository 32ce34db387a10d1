import { type ProblemCode, ProblemError } from '../lib/errors.ts'
import type { HeldToken } from '../token/source.ts'
import { type Answered, Answering } from './answering.ts'
import { BorrowedConnection } from './borrowed-connection.ts'
import { callFields } from './call-log.ts'
import { CallRecord } from './call-record.ts'
import { CarriedToken } from './carried-token.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Destination } from './destination.ts'
import { Dispatch, type Dispatched } from './dispatch.ts'
import type { Piece } from './piece.ts'
import type { RelayContext } from './relay-context.ts'
import { Replay } from './replay.ts'
import type { RequestHead } from './request-head.ts'
import { TokenWait } from './token-wait.ts'
import { Tunnel } from './tunnel.ts'
import { Upload } from './upload.ts'
import type { UpstreamConnection } from './upstream-connection.ts'

/**
 * Where a call stands: `dispatching` until it has a token and a connection → `sent`; from there back to `dispatching` when it is
 * sent again, or on to `tunnelling`.
 */
type Phase = 'idle' | 'dispatching' | 'sent' | 'tunnelling'

/**
 * One call from its head to its end, in whatever way it ends. A connection has one exchange and uses it for all its calls,
 * one after the other.
 */
export class Exchange implements Dispatched, Answered {
  readonly #context: RelayContext
  readonly #client: ClientConnection
  readonly #head: RequestHead
  readonly #record: CallRecord
  readonly #carried = new CarriedToken()
  readonly #wait = new TokenWait()
  readonly #upstream = new BorrowedConnection()
  readonly #upload: Upload
  readonly #dispatch: Dispatch
  readonly #replay: Replay
  readonly #answering: Answering

  #phase: Phase = 'idle'
  #destination: Destination | null = null
  /** Monotonic ms of the latest tick before anything moved. */
  #movedAt = 0
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
    const parts = { client, head, upload: this.#upload, upstream: this.#upstream }
    this.#answering = new Answering(context, this, { ...parts, carried: this.#carried, replay: this.#replay })
  }

  get isActive(): boolean {
    return this.#phase !== 'idle'
  }

  get isTunnel(): boolean {
    return this.#phase === 'tunnelling'
  }

  /** An answer is under way that ends with the caller's connection, so that ending it in order would make it look complete. */
  get endsWithConnection(): boolean {
    return this.#isPassing && this.#answering.endsWithConnection
  }

  get #isPassing(): boolean {
    return this.#phase === 'sent' && this.#answering.isPassing
  }

  get #isDeciding(): boolean {
    return this.#phase === 'sent' && this.#answering.isDeciding
  }

  /** Begins a call whose head was read and admitted. Returns the position in `bytes` up to which they belong to it. */
  begin(destination: Destination, target: string, bytes: Buffer, from: number, to: number): number {
    this.#destination = destination
    this.#hasRetried = false
    this.#phase = 'dispatching'
    this.moved()
    this.#record.begin()
    this.#replay.begin()
    this.#dispatch.begin(destination, this.#head, target)
    this.#upload.begin()
    const end = this.#readBody(bytes, from, to)
    // An invalid body has ended the call already.
    if (this.isActive) this.#dispatch.send(false)
    return end
  }

  /** More of the request's body. Returns the position in `bytes` up to which they belong to it. */
  onRequestBytes(bytes: Buffer, from: number, to: number): number {
    this.moved()
    return this.#readBody(bytes, from, to)
  }

  #readBody(bytes: Buffer, from: number, to: number): number {
    if (this.#head.framing === 'none') return from
    const end = this.#upload.read(bytes, from, to)
    if (this.#client.reader.fault !== null) this.fail('request_invalid')
    return end
  }

  /** The caller is gone, or must go: everything done for the call ends. */
  abandon(): void {
    if (this.#phase === 'idle') return
    this.#tunnel?.destroy()
    this.#upstream.destroy()
    this.#end(null, null)
  }

  /** The caller reads again. */
  onClientDrain(): void {
    this.moved()
    if (this.#phase === 'tunnelling') this.#tunnel?.onClientDrain()
    else if (this.#phase === 'sent' && !this.#isDeciding) this.#upstream.resume()
  }

  // Silence.

  moved(): void {
    this.#movedAt = this.#context.ticker.now
  }

  /** How long nothing has moved, at least. */
  silentMs(now: number): number {
    return now - this.#movedAt - this.#context.ticker.tickMs
  }

  /** Ends the call when nothing has moved for too long, by whose fault it is. */
  checkSilence(now: number, callerSilenceMs: number): void {
    const silentMs = this.silentMs(now)
    if (this.#phase === 'tunnelling') this.#tunnel?.checkTime(now)
    if (this.#phase !== 'sent' || this.#isDeciding) return
    if (this.#client.isReadingBody) {
      if (silentMs >= callerSilenceMs) this.fail('request_timeout')
    } else if (this.#client.isBlocked) {
      if (silentMs >= callerSilenceMs) this.cut()
    } else if (silentMs >= this.#context.options.upstreamTimeoutMs) this.fail('upstream_timeout')
  }

  // The way to the upstream.

  onConnected(): void {
    this.#dispatch.onConnected()
  }

  onSending(upstream: UpstreamConnection): void {
    const destination = this.#destination as Destination
    this.#phase = 'sent'
    this.#upstream.take(upstream, destination.pool)
    this.#answering.begin(destination)
    this.moved()
  }

  onUnsendable(error: unknown): void {
    if (error instanceof ProblemError) this.fail(error.code, error.retryAfterS)
    else {
      this.#context.log.error('call_failed', { ...callFields(this.#head), error })
      this.fail('internal_error')
    }
  }

  onUpstreamDrain(): void {
    this.moved()
    this.#upload.onUpstreamDrain()
  }

  sendAgain(token: HeldToken): void {
    this.#phase = 'dispatching'
    this.#dispatch.sendAgain(token)
  }

  // The way back.

  onUpstreamBytes(bytes: Buffer, length: number): void {
    this.moved()
    const upstream = this.#upstream.current
    if (upstream !== null && !upstream.isUntouched) this.#answering.onBytes(bytes, length)
    // Nothing was asked yet. On a connection from the pool it may be a late word on an earlier call, or why it is about to close.
    else if (upstream?.hasRested) this.#lose(this.#upstream.destroy())
    else this.fail('upstream_protocol_error')
  }

  onUpstreamEnd(): void {
    if (this.#phase === 'sent' && this.#answering.onEnd()) return
    this.#lose(this.#upstream.destroy())
  }

  onUpstreamClosed(): void {
    const upstream = this.#upstream.forget()
    if (this.#phase === 'sent' && this.#answering.onClosed()) return
    if (this.#phase === 'dispatching') this.#dispatch.onConnectFailed()
    this.#lose(upstream)
  }

  #lose(upstream: UpstreamConnection | null): void {
    if (this.#isPassing) {
      this.cut()
      return
    }
    const wasSilent = upstream !== null && !upstream.reader.midHead && !upstream.reader.headComplete
    // The upstream closed an idle connection while the call was on its way; what may be repeated is, on a new one, once.
    if (
      this.#phase === 'sent' &&
      wasSilent &&
      !this.#answering.hasBegun &&
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
    this.fail(wasSilent || this.#phase === 'dispatching' ? 'upstream_unreachable' : 'upstream_protocol_error')
  }

  // A tunnel.

  switched(first: Piece): void {
    const upstream = this.#upstream.forget() as UpstreamConnection
    const client = this.#client
    this.#carried.release()
    this.#phase = 'tunnelling'
    client.write(first)
    this.#tunnel = new Tunnel(client, upstream, this.#context.ticker, () => this.#closeTunnel())
    upstream.user = this.#tunnel
    client.startTunnel()
  }

  onTunnelBytes(bytes: Buffer, length: number): void {
    this.#tunnel?.onClientBytes(bytes, length)
  }

  onTunnelEnd(): void {
    this.#tunnel?.onClientEnd()
  }

  #closeTunnel(): void {
    if (this.#phase !== 'tunnelling') return
    this.#end(101, null)
    this.#client.tunnelClosed()
  }

  // How calls end.

  answered(status: number, leavesClientOpen: boolean): void {
    this.#end(status, null)
    this.#client.answered(leavesClientOpen)
  }

  /** Answers with a problem; once the answer has begun there is nothing left but to cut it off. */
  fail(code: ProblemCode, retryAfterS?: number): void {
    if (this.#isPassing) {
      this.cut(code)
      return
    }
    const client = this.#client
    const keepsOpen = client.canReadOn
    this.#upstream.destroy()
    const status = client.writeProblem(code, retryAfterS, keepsOpen)
    this.#end(status, code)
    client.answered(keepsOpen && client.mayStayOpen)
  }

  /** A truncated answer must not look complete. */
  cut(code: ProblemCode = 'upstream_protocol_error'): void {
    const { status, endsWithConnection } = this.#answering
    this.#upstream.destroy()
    this.#end(status, code)
    this.#client.cut(endsWithConnection)
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
