import type { HeldToken } from '../token/source.ts'
import { AnswerMask } from './answer-mask.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Destination } from './destination.ts'
import { rewriteLocation } from './location.ts'
import { isMaskable } from './masking.ts'
import type { MessageReader } from './message-reader.ts'
import { headWith, isText, type Piece } from './piece.ts'
import type { RelayContext } from './relay-context.ts'
import type { RequestHead } from './request-head.ts'
import { ResponseHead } from './response-head.ts'

const NOTHING = Buffer.alloc(0)
const CRLF = Buffer.from('\r\n')

/** What goes back to the caller of one call: reads the upstream's answer and says what to write. */
export class Answer {
  readonly #context: RelayContext
  readonly #client: ClientConnection
  readonly #request: RequestHead
  readonly #head = new ResponseHead()
  readonly #rewrite = (location: string): string =>
    rewriteLocation(location, (this.#destination as Destination).route, this.#request.host)
  #destination: Destination | null = null
  #token: HeldToken | null = null
  #reader: MessageReader | null = null
  #mask: AnswerMask | null = null
  #masksData = false
  #hasTrailers = false
  /** An HTTP/1.0 caller gets the data without the chunks. */
  #unchunks = false
  /** Any other gets chunks where the upstream ends with its connection, so that this one can go on. */
  #chunks = false
  #hasExcess = false
  leavesClientOpen = false
  isComplete = false

  constructor(context: RelayContext, client: ClientConnection, request: RequestHead) {
    this.#context = context
    this.#client = client
    this.#request = request
  }

  get status(): number {
    return this.#head.status
  }

  get keepAliveS(): number {
    return this.#head.keepAliveS
  }

  get acceptsWebSocket(): boolean {
    return this.#head.acceptsWebSocket
  }

  /** The upstream's connection may carry another call. */
  get leavesUpstreamOpen(): boolean {
    return this.#head.keepAlive && !this.#hasExcess && this.#head.framing !== 'until_close'
  }

  /** The upstream ends the answer with the end of its connection. */
  get endsWithUpstream(): boolean {
    return this.#head.framing === 'until_close'
  }

  /** The caller sees the end of the answer by the end of its connection alone. */
  get endsWithConnection(): boolean {
    return this.#unchunks || (this.#head.framing === 'until_close' && !this.#chunks)
  }

  /** Reads a complete head. False: it cannot be passed on. */
  readHead(reader: MessageReader, destination: Destination, token: HeldToken): boolean {
    this.#reader = reader
    this.#destination = destination
    this.#token = token
    const { method, http10 } = this.#request
    return this.#head.read(reader, method, http10, this.#rewrite)
  }

  /** An interim answer (1xx) as it goes to the caller. */
  interim(): string {
    return this.#masked(this.#head.forwarded(''))
  }

  /** The head of a 101 that opens a tunnel. */
  switching(): string {
    return this.#masked(this.#head.forwarded('Connection: Upgrade\r\nUpgrade: websocket\r\n'))
  }

  /** Head and what there is of the body; null when the body is not valid. */
  start(bytes: Buffer, from: number, to: number): Piece | null {
    const head = this.#head
    const request = this.#request
    this.#hasTrailers = false
    this.#hasExcess = false
    this.#unchunks = head.framing === 'chunked' && request.http10
    this.#chunks = head.framing === 'until_close' && !request.http10
    this.#mask = null
    // A refused upgrade ends the connection: the caller may have sent what was meant for the tunnel.
    this.leavesClientOpen =
      this.#client.mayStayOpen &&
      this.#client.reader.complete &&
      !this.endsWithConnection &&
      !request.isUpgrade
    let connection = this.#chunks ? 'Transfer-Encoding: chunked\r\n' : ''
    if (!this.leavesClientOpen) connection += 'Connection: close\r\n'
    else if (request.http10) connection += 'Connection: keep-alive\r\n'
    this.#reader?.beginBody(head.framing, head.contentLength)
    const end = this.#readBody(bytes, from, to)
    if (end < 0) return null
    const text = head.forwarded(connection)
    if (!this.#context.options.maskToken) return this.#pass(text, bytes, from, end)
    return this.#unmaskedWhole(text, bytes, from, end) ?? this.#passMasked(text, bytes, from, end)
  }

  /** More of the body; null when it is not valid. */
  more(bytes: Buffer, from: number, to: number): Piece | null {
    const end = this.#readBody(bytes, from, to)
    return end < 0 ? null : this.#pass('', bytes, from, end)
  }

  /** The upstream has closed the connection, which ends a body of unknown length: what is still to be written. */
  end(): Piece {
    const rest = this.#mask === null ? NOTHING : this.#mask.flush()
    const last = this.#framed('', rest, 0, rest.length)
    if (!this.#chunks) return last
    return typeof last === 'string' ? `${last}0\r\n\r\n` : Buffer.concat([last, Buffer.from('0\r\n\r\n')])
  }

  /** Reads over an answer that nobody gets. Whether its connection may carry another call. */
  discard(bytes: Buffer): boolean {
    const reader = this.#reader as MessageReader
    reader.beginBody(this.#head.framing, this.#head.contentLength)
    const end = reader.readBody(bytes, 0, bytes.length)
    this.#hasExcess = end < bytes.length
    return reader.complete && reader.fault === null && this.leavesUpstreamOpen
  }

  /** Where the body ends in `bytes`; -1 when it is not valid. */
  #readBody(bytes: Buffer, from: number, to: number): number {
    const reader = this.#reader as MessageReader
    const end = reader.readBody(bytes, from, to)
    if (reader.fault !== null) return -1
    this.isComplete = reader.complete
    if (end < to) this.#hasExcess = true
    return end
  }

  /**
   * An answer that came in one read, as most do, is searched for the token as the text it is written as, head and body at
   * once. Null: the token is there, or could be and must be looked for with more care (across chunks, or in what is to come).
   */
  #unmaskedWhole(head: string, bytes: Buffer, from: number, end: number): Piece | null {
    const reader = this.#reader as MessageReader
    if (!reader.complete || this.#unchunks || reader.data.length > 2 || !isText(end - from)) return null
    const whole = headWith(head, bytes, from, end)
    return this.#masked(whole as string) === whole ? whole : null
  }

  #passMasked(head: string, bytes: Buffer, from: number, end: number): Piece {
    const { contentType, contentEncoding, framing } = this.#head
    this.#masksData = isMaskable(contentType, contentEncoding)
    // Of a body that is no text the trailers are searched.
    if (framing !== 'none' && (this.#masksData || framing === 'chunked')) {
      this.#mask = new AnswerMask((this.#destination as Destination).maskedBytes(this.#token as HeldToken))
    }
    return this.#pass(this.#masked(head), bytes, from, end)
  }

  #pass(head: string, bytes: Buffer, from: number, end: number): Piece {
    if (this.#unchunks) return this.#withoutChunks(head, bytes)
    const mask = this.#mask
    if (mask === null) return this.#framed(head, bytes, from, end)
    const spans = this.#searched(this.#reader as MessageReader, from, end)
    if (spans.length === 0 && !this.#masksData) return this.#framed(head, bytes, from, end)
    const passing = mask.write(bytes, from, end, spans, this.isComplete)
    return this.#framed(head, passing, 0, passing.length)
  }

  #framed(head: string, bytes: Buffer, from: number, to: number): Piece {
    if (!this.#chunks || from === to) return headWith(head, bytes, from, to)
    const piece = headWith(`${head}${(to - from).toString(16)}\r\n`, bytes, from, to)
    return typeof piece === 'string' ? `${piece}\r\n` : Buffer.concat([piece, CRLF])
  }

  #withoutChunks(head: string, bytes: Buffer): Piece {
    const { data } = this.#reader as MessageReader
    const parts: Buffer[] = []
    for (let at = 0; at < data.length; at += 2) parts.push(bytes.subarray(data[at], data[at + 1]))
    let plain: Buffer = Buffer.concat(parts)
    if (this.#mask !== null && this.#masksData) {
      plain = this.#mask.write(plain, 0, plain.length, [0, plain.length], this.isComplete)
    }
    return headWith(head, plain, 0, plain.length)
  }

  /** Where the token could be: data and trailers, but never what frames them. */
  #searched(reader: MessageReader, from: number, end: number): readonly number[] {
    if (this.#head.framing !== 'chunked') return [from, end]
    if (this.#hasTrailers) return [from, end]
    const data = this.#masksData ? reader.data : []
    if (reader.trailerStart < 0) return data
    this.#hasTrailers = true
    return [...data, reader.trailerStart, end]
  }

  #masked(head: string): string {
    if (!this.#context.options.maskToken) return head
    return (this.#destination as Destination).headMask(this.#token as HeldToken).head(head)
  }
}
