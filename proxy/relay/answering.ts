import type { ProblemCode } from '../lib/errors.ts'
import type { HeldToken } from '../token/source.ts'
import { Answer } from './answer.ts'
import type { BorrowedConnection } from './borrowed-connection.ts'
import type { CarriedToken } from './carried-token.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Destination } from './destination.ts'
import { headWith, type Piece } from './piece.ts'
import type { RelayContext } from './relay-context.ts'
import type { FirstRejection, Replay } from './replay.ts'
import type { RequestHead } from './request-head.ts'
import type { Upload } from './upload.ts'
import type { UpstreamConnection } from './upstream-connection.ts'

/** The call that is answered. */
export interface Answered {
  /** It is to be sent once more. */
  sendAgain(token: HeldToken): void
  /** Something happened, if not on the wire. */
  moved(): void
  /** A WebSocket handshake succeeded, and `first` is what its caller gets. */
  switched(first: Piece): void
  /** The caller has been given the whole answer. */
  answered(status: number, leavesClientOpen: boolean): void
  fail(code: ProblemCode): void
  /** Ends an answer that has begun. */
  cut(): void
}

/** Until the head is complete · until it is decided whether a rejected call is sent again · while the body passes. */
type Stage = 'head' | 'decision' | 'body'

/** The parts of the call that its answer has to do with. */
export interface CallParts {
  readonly client: ClientConnection
  readonly head: RequestHead
  readonly upload: Upload
  readonly upstream: BorrowedConnection
  readonly carried: CarriedToken
  readonly replay: Replay
}

/** What comes back to a call that was sent: read → judge → pass on, or have it sent again. */
export class Answering {
  readonly #context: RelayContext
  readonly #call: Answered
  readonly #client: ClientConnection
  readonly #head: RequestHead
  readonly #upload: Upload
  readonly #upstream: BorrowedConnection
  readonly #carried: CarriedToken
  readonly #replay: Replay
  readonly #answer: Answer
  #destination: Destination | null = null
  #stage: Stage = 'head'
  /** The connection has ended since the answer came that is being decided on. */
  #lostUpstream = false
  /** And did so in order. */
  #hasEnded = false
  /** The upstream has answered, be it with an interim answer. */
  hasBegun = false

  constructor(context: RelayContext, call: Answered, parts: CallParts) {
    this.#context = context
    this.#call = call
    this.#client = parts.client
    this.#head = parts.head
    this.#upload = parts.upload
    this.#upstream = parts.upstream
    this.#carried = parts.carried
    this.#replay = parts.replay
    this.#answer = new Answer(context, parts.client, parts.head)
  }

  get status(): number {
    return this.#answer.status
  }

  get isDeciding(): boolean {
    return this.#stage === 'decision'
  }

  /** The caller has been given the head. */
  get isPassing(): boolean {
    return this.#stage === 'body'
  }

  /** The caller sees the end of the answer by the end of its connection alone. */
  get endsWithConnection(): boolean {
    return this.#answer.endsWithConnection
  }

  /** The call was sent, for the first time or again. */
  begin(destination: Destination): void {
    this.#destination = destination
    this.#stage = 'head'
    this.#lostUpstream = false
    this.#hasEnded = false
    this.hasBegun = false
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.#stage === 'body') this.#passOn(bytes, 0, length)
    else if (this.#stage === 'head') this.#readHead(bytes, 0, length)
    else this.#replay.add(bytes.subarray(0, length))
  }

  /** The upstream sends no more. True: that is in order. */
  onEnd(): boolean {
    if (this.onClosed()) {
      this.#hasEnded = true
      return true
    }
    if (this.#stage === 'head' || !this.#answer.endsWithUpstream) return false
    this.#finishAtEnd()
    return true
  }

  /** The connection is gone. True: what came of the answer is enough for now. */
  onClosed(): boolean {
    if (this.#stage !== 'decision') return false
    this.#lostUpstream = true
    return true
  }

  #readHead(bytes: Buffer, from: number, to: number): void {
    const { reader } = this.#upstream.current as UpstreamConnection
    let position = from
    for (;;) {
      const start = position
      position = reader.readHead(bytes, start, to)
      if (reader.fault !== null) {
        this.#call.fail('upstream_protocol_error')
        return
      }
      if (!reader.headComplete) return
      this.hasBegun = true
      if (!this.#answer.readHead(reader, this.#destination as Destination, this.#carried.token)) {
        this.#call.fail('upstream_protocol_error')
        return
      }
      const { status } = this.#answer
      if (status === 101) {
        this.#switch(bytes, position, to)
        return
      }
      if (status >= 200) break
      // There may be any number of them.
      if (!this.#head.http10 && !this.#client.write(this.#answer.interim())) this.#upstream.pause()
      reader.next()
      if (position === to) return
    }
    this.#judge(bytes, position, to)
  }

  #switch(bytes: Buffer, from: number, to: number): void {
    if (!this.#head.isUpgrade || !this.#answer.acceptsWebSocket) {
      this.#call.fail('upstream_protocol_error')
      return
    }
    this.#replay.accepted(101, (this.#destination as Destination).route.tokens)
    this.#call.switched(headWith(this.#answer.switching(), bytes, from, to))
  }

  #judge(bytes: Buffer, from: number, to: number): void {
    const { status } = this.#answer
    const { tokens } = (this.#destination as Destination).route
    const replay = this.#replay
    if (status < 400 || !this.#context.options.rejectedStatus.has(status)) replay.accepted(status, tokens)
    else {
      const decided = (replacement: HeldToken | null) => this.#decided(replacement)
      if (replay.considers(tokens, this.#upload.isReplayable, bytes.subarray(from, to), decided)) {
        this.#stage = 'decision'
        this.#upstream.pause()
        this.#upload.halt()
        return
      }
      if (replay.first !== null) {
        this.#passFirst(replay.first, bytes.subarray(from, to))
        return
      }
    }
    this.#start(bytes, from, to)
  }

  #decided(replacement: HeldToken | null): void {
    this.#call.moved()
    if (replacement === null || !this.#upload.isReplayable) this.#passRejection()
    else this.#sendAgain(replacement)
  }

  #passRejection(): void {
    const bytes = this.#replay.takeAnswer()
    if (this.#replay.first !== null) {
      this.#passFirst(this.#replay.first, bytes)
      return
    }
    this.#upload.goOn(this.#upstream.current)
    this.#start(bytes, 0, bytes.length)
    // Not so when it is complete already, or was found invalid.
    if (this.#stage !== 'body' || this.#answer.isComplete) return
    if (this.#hasEnded && this.#answer.endsWithUpstream) this.#finishAtEnd()
    else if (this.#lostUpstream) this.#call.cut()
    else this.#upstream.resume()
  }

  #sendAgain(replacement: HeldToken): void {
    const isWhole = this.#replay.begins(this.#answer, this.#client.reader.complete)
    this.#giveBack(isWhole)
    this.#call.sendAgain(replacement)
  }

  #passFirst(first: FirstRejection, second: Buffer): void {
    this.#giveBack(this.#upstream.current !== null && this.#answer.discard(second))
    this.#client.write(first.piece)
    this.#call.answered(first.status, first.leavesClientOpen && this.#client.mayStayOpen)
  }

  #start(bytes: Buffer, from: number, to: number): void {
    const piece = this.#answer.start(bytes, from, to)
    if (piece === null) {
      this.#call.fail('upstream_protocol_error')
      return
    }
    this.#stage = 'body'
    this.#deliver(piece)
  }

  #passOn(bytes: Buffer, from: number, to: number): void {
    const piece = this.#answer.more(bytes, from, to)
    if (piece === null) this.#call.cut()
    else this.#deliver(piece)
  }

  #deliver(piece: Piece): void {
    const goesOn = piece.length === 0 || this.#client.write(piece)
    if (this.#answer.isComplete) this.#finish()
    else if (!goesOn) this.#upstream.pause()
  }

  /** The answer ends with the upstream's connection, and that has ended. */
  #finishAtEnd(): void {
    this.#upstream.destroy()
    const rest = this.#answer.end()
    if (rest.length > 0) this.#client.write(rest)
    this.#finish()
  }

  #finish(): void {
    const requestComplete = this.#client.reader.complete
    this.#giveBack(requestComplete)
    this.#call.answered(this.#answer.status, this.#answer.leavesClientOpen && requestComplete)
  }

  /** `isOver`: request and answer have passed, or been read, to their ends. */
  #giveBack(isOver: boolean): void {
    const canCarryAnother = isOver && this.#answer.leavesUpstreamOpen && !this.#lostUpstream
    this.#upstream.giveBack(canCarryAnother, this.#answer.keepAliveS)
  }
}
