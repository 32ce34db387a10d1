import type { Socket } from 'node:net'
import type { ProblemCode } from '../lib/errors.ts'
import { CallerDeadline } from './caller-deadline.ts'
import { Exchange } from './exchange.ts'
import { REQUEST } from './llhttp.ts'
import { MessageReader } from './message-reader.ts'
import { Outbox } from './outbox.ts'
import type { Piece } from './piece.ts'
import { problemFor, problemMessage } from './problem.ts'
import { ReadAhead } from './read-ahead.ts'
import type { RelayContext } from './relay-context.ts'
import { RequestHead } from './request-head.ts'
import { withSharedReads } from './socket-reads.ts'
import { CALLER_SILENCE_MS, HALF_CLOSED_MS, type Timed } from './timeouts.ts'

/**
 * `head`: between calls, or in the middle of a head → `body`: of the call under way → `answer`: is awaited; what comes in is
 * kept for later → `head`, or `lingering`: nothing that comes in counts any more; or `tunnel`.
 */
type State = 'head' | 'body' | 'answer' | 'lingering' | 'tunnel'

/** One caller's connection: reads its calls one after the other, and answers them in that order. */
export class ClientConnection implements Timed {
  readonly reader: MessageReader
  /** It has carried a call: whoever is behind it knows how to make one. */
  hasServed = false
  readonly #context: RelayContext
  readonly #socket: Socket
  readonly #outbox: Outbox
  readonly #ahead: ReadAhead
  readonly #head: RequestHead
  readonly #exchange: Exchange
  readonly #deadline: CallerDeadline
  readonly #onClosed: (connection: ClientConnection) => void
  #state: State = 'head'
  #isAdvancing = false
  #hasEnded = false

  constructor(context: RelayContext, accepted: Socket, onClosed: (connection: ClientConnection) => void) {
    this.#context = context
    this.#onClosed = onClosed
    this.reader = new MessageReader(REQUEST, context.options.maxHeaderBytes)
    this.#head = new RequestHead(context.requestFields)
    this.#exchange = new Exchange(context, this, this.#head)
    const socket = withSharedReads(accepted, this.#onBytes.bind(this), context.counters.callers++)
    this.#socket = socket
    this.#outbox = new Outbox(socket)
    this.#ahead = new ReadAhead(socket)
    socket.setNoDelay(true)
    socket.on('drain', () => this.#exchange.onClientDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('finish', () => this.#state === 'lingering' && this.#deadline.linger(true))
    // A caller that resets its connection is told by 'close'; there is nothing to add.
    socket.on('error', () => {})
    socket.on('close', () => this.#onClose())
    context.ticker.add(this)
    this.#deadline = new CallerDeadline(context.ticker)
  }

  /** How long it has kept its place without a call, ms; -1: there is one, or the end of its answer is still being taken. */
  get waitedMs(): number {
    const hasCall = (this.#state !== 'head' && this.#state !== 'lingering') || this.isBlocked
    return hasCall ? -1 : this.#deadline.waitedMs
  }

  /** It will carry no other call. */
  get isLingering(): boolean {
    return this.#state === 'lingering'
  }

  /** What follows the request can be read as another: that ended where it said, and did not ask for another protocol. */
  get canReadOn(): boolean {
    return this.reader.complete && this.reader.fault === null && !this.#head.isUpgrade
  }

  /** The call's body is being read, so silence is the caller's. */
  get isReadingBody(): boolean {
    return this.#state === 'body' && !this.#ahead.isBodyPaused
  }

  /** Written and not yet taken by the caller. */
  get isBlocked(): boolean {
    return !this.#outbox.isEmpty
  }

  /** The connection may carry another call after this one. */
  get mayStayOpen(): boolean {
    // A caller that has sent its last may have sent calls ahead: those are still answered.
    return this.#head.keepAlive && !this.#context.isDraining && (!this.#hasEnded || !this.#ahead.isEmpty)
  }

  // What the exchange asks for.

  /** False: wait for the drain before writing more. */
  write(piece: Piece): boolean {
    return this.#outbox.write(piece)
  }

  pauseBody(): void {
    this.#ahead.pauseBody()
  }

  resumeBody(): void {
    this.#ahead.resumeBody()
  }

  /** Writes an answer of our own and returns its status. */
  writeProblem(code: ProblemCode, retryAfterS: number | undefined, keepsOpen: boolean): number {
    // The head is still the last call's when this one's could not be read.
    const head = this.reader.headComplete ? this.#head : undefined
    const problem = problemFor(code, retryAfterS, head?.requestId)
    this.#context.counters.problem(code)
    const ifOpen = this.#head.http10 ? 'keep-alive' : null
    const connection = keepsOpen && this.mayStayOpen ? ifOpen : 'close'
    this.write(problemMessage(problem, connection, head?.method !== 'HEAD'))
    return problem.status
  }

  /** The answer has been written; the next call's turn, if there may be one. */
  answered(staysOpen: boolean): void {
    if (this.#socket.destroyed) return
    if (!staysOpen) return void this.#linger()
    this.reader.next()
    this.#state = 'head'
    this.hasServed = true
    this.#deadline.awaitCall()
    this.#ahead.resume()
    if (this.#isAdvancing) return
    const ahead = this.#ahead.take()
    if (ahead !== null) this.#advance(ahead, 0, ahead.length)
    if (!this.#hasEnded) return
    const state = this.#state as State
    // The rest of a body will never come.
    if (state === 'body') this.#exchange.abandon()
    if (state === 'answer') this.#deadline.halfClosed()
    else if (state === 'head' || state === 'body') this.#linger()
  }

  /** Ends the connection so that the answer is seen to be incomplete. */
  cut(byReset: boolean): void {
    if (byReset) this.destroy(true)
    else this.#linger()
  }

  startTunnel(): void {
    this.#state = 'tunnel'
    const early = this.#ahead.take()
    this.#ahead.resume()
    if (early !== null) this.#exchange.onTunnelBytes(early, early.length)
    if (this.#hasEnded) this.#exchange.onTunnelEnd()
  }

  /** Half-closes. */
  endSending(): void {
    this.#outbox.end()
  }

  tunnelClosed(): void {
    this.#outbox.destroySoon()
    this.#state = 'lingering'
    this.#deadline.linger(this.#outbox.isEmpty)
  }

  /** Ends the connection at once. What was not taken of an answer is seen to be missing. */
  destroy(byReset = this.isBlocked || this.#exchange.endsWithConnection): void {
    if (byReset && this.#context.options.listen.kind === 'tcp') this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  /** Ends the connection once the caller has been sent everything. */
  destroySoon(): void {
    this.#outbox.destroySoon()
  }

  checkTime(now: number): void {
    if (this.#exchange.isActive) {
      // As long as the answer moves, somebody reads it.
      const isSilent = !this.#exchange.isTunnel && this.#exchange.silentMs(now) >= HALF_CLOSED_MS
      if (this.#hasEnded && isSilent && this.#deadline.isPast(now)) this.destroy()
      else this.#exchange.checkSilence(now, CALLER_SILENCE_MS)
      return
    }
    if (!this.#deadline.isPast(now)) return
    if (this.#state === 'head' && this.reader.midHead) this.#refuse('request_timeout')
    else this.destroy()
  }

  // What comes in.

  #onBytes(bytes: Buffer, length: number): void {
    switch (this.#state) {
      case 'head':
        this.#advance(bytes, 0, length)
        return
      case 'body': {
        const end = this.#exchange.onRequestBytes(bytes, 0, length)
        this.#afterBody(bytes, end, length)
        return
      }
      case 'answer':
        this.#ahead.keep(bytes, 0, length)
        return
      case 'tunnel':
        this.#exchange.onTunnelBytes(bytes, length)
    }
  }

  /** Reads calls until one has to be waited for. */
  #advance(bytes: Buffer, from: number, to: number): void {
    this.#isAdvancing = true
    let position = from
    while (position < to && this.#state === 'head') position = this.#readCall(bytes, position, to)
    this.#isAdvancing = false
    if (position < to && this.#state !== 'lingering') this.#ahead.keep(bytes, position, to)
  }

  #readCall(bytes: Buffer, from: number, to: number): number {
    const { reader } = this
    const wasMidHead = reader.midHead
    const position = reader.readHead(bytes, from, to)
    if (reader.fault !== null) {
      this.#refuse(reader.fault === 'too_large' ? 'request_too_large' : 'request_invalid')
      return to
    }
    if (!reader.headComplete) {
      if (!wasMidHead && reader.midHead) this.#deadline.awaitHead()
      return to
    }
    if (!this.#head.read(reader)) {
      this.#refuse('request_invalid')
      return to
    }
    return this.#begin(bytes, position, to)
  }

  #begin(bytes: Buffer, from: number, to: number): number {
    const context = this.#context
    const head = this.#head
    this.reader.beginBody(head.framing, head.contentLength)
    if (context.isDraining) return this.#decline('shutting_down', from, to)
    const admitted = context.admission(head)
    if (typeof admitted === 'string') return this.#decline(admitted, from, to)
    const destination = context.destinations.get(admitted.route)
    if (destination === undefined) return this.#decline('route_not_found', from, to)
    this.#state = this.reader.complete ? 'answer' : 'body'
    const end = this.#exchange.begin(destination, admitted.target, bytes, from, to)
    if (this.#state === 'body' && this.reader.complete) this.#state = 'answer'
    return end
  }

  #afterBody(bytes: Buffer, from: number, to: number): void {
    if (this.#state === 'body' && this.reader.complete) this.#state = 'answer'
    if (this.#state === 'answer' && from < to) this.#ahead.keep(bytes, from, to)
    else if (this.#state === 'head' && from < to) this.#advance(bytes, from, to)
  }

  /** Answers a request that is not to be forwarded; the connection goes on if the request has been read whole. */
  #decline(code: ProblemCode, from: number, to: number): number {
    // Who sends what is no request may mean something else by what follows it.
    const keepsOpen = this.canReadOn && code !== 'request_invalid'
    const status = this.writeProblem(code, undefined, keepsOpen)
    this.#context.recordCall(this.#head, null, status, 0, code, false)
    this.answered(keepsOpen && this.mayStayOpen)
    return keepsOpen ? from : to
  }

  /** Answers what is not a request, or not in time. Nothing that follows on the connection is looked at. */
  #refuse(code: ProblemCode): void {
    this.#head.keepAlive = false
    const status = this.writeProblem(code, undefined, false)
    this.#context.recordCall(null, null, status, 0, code, false)
    this.#linger()
  }

  #linger(): void {
    this.#state = 'lingering'
    this.#ahead.take()
    this.#outbox.end()
    this.#deadline.linger(this.#outbox.isEmpty)
    this.#ahead.resume()
  }

  #onEnd(): void {
    this.#hasEnded = true
    if (this.#state === 'tunnel') this.#exchange.onTunnelEnd()
    else if (this.#state === 'answer') this.#deadline.halfClosed()
    else if (this.#state === 'lingering' || (this.#state === 'head' && !this.reader.midHead))
      this.#outbox.end()
    else this.destroy()
  }

  #onClose(): void {
    this.#context.counters.callers--
    this.#context.ticker.remove(this)
    this.#exchange.abandon()
    this.reader.free()
    this.#ahead.take()
    this.#onClosed(this)
  }
}
