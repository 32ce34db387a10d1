import { ChunkOverhead } from './chunk-overhead.ts'
import { HeadPieces } from './head-pieces.ts'
import {
  allocate,
  contentLengthOf,
  execute,
  FLAG_CHUNKED,
  FLAG_CONTENT_LENGTH,
  FLAG_TRANSFER_ENCODING,
  flagsOf,
  free,
  INPUT_LIMIT_BYTES,
  type Listener,
  majorOf,
  methodOf,
  minorOf,
  OK,
  PAUSED,
  REQUEST,
  type RESPONSE,
  reset,
  resume,
  statusOf,
  stoppedAt,
} from './llhttp.ts'

/** How the end of a body is found (RFC 9112, section 6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'until_close'

/** Why a message cannot be read on. */
export type Fault = 'invalid' | 'too_large'

/** Numbers for each field in `MessageReader.fields`. */
export const FIELD_STRIDE = 4

const EMPTY: Buffer = Buffer.alloc(0)

const CR = 13
const LF = 10
const NAME = 1
const VALUE = 2

/**
 * Where the spans of a head go that arrives in one read, which is nearly every head: it is dealt with before another
 * connection is read. A head that arrives in pieces takes its spans along.
 */
const sharedSpans = new Int32Array(256 * FIELD_STRIDE)

/**
 * Reads the messages of one connection, one after the other: llhttp decides what is valid and where a message ends, this
 * class remembers where the parts lie. A head is fed whole or in pieces, a chunked body as it comes; of a body with
 * Content-Length only the bytes are counted.
 */
export class MessageReader implements Listener {
  /** 0 once freed. */
  #parser: number
  readonly #headLimitBytes: number
  /** Before a request they are none of it (RFC 9112, section 2.2): who sends one behind a call has not begun another. */
  readonly #skipsEmptyLines: boolean

  /** Set when the message cannot be read on; the connection is then of no more use. */
  fault: Fault | null = null

  headComplete = false
  /** The bytes that the spans of a complete head refer to, and the part of them that is the head. */
  head: Buffer = EMPTY
  headStart = 0
  headEnd = 0
  /** Start and length of name and of value, in turn, as offsets into `head`. */
  fields: Int32Array = sharedSpans
  fieldCount = 0
  urlStart = -1
  urlEnd = 0
  /** Whether the connection may go on after this message, as far as the sender is concerned. */
  keepAlive = false

  /** The body has ended, and with it the message. */
  complete = false
  /** Spans of body data in the bytes given to `readBody` last, start and end in turn; chunked bodies only. */
  readonly data: number[] = []
  /** How many bytes of what was given to `readBody` last were body data, chunk framing apart. */
  dataBytes = 0
  /** Where in the bytes given to `readBody` last the trailer fields began; -1 when they did not. */
  trailerStart = -1

  #framing: Framing = 'none'
  #remainingBytes = 0
  readonly #chunkOverhead = new ChunkOverhead()
  #part = 0
  readonly #pieces = new HeadPieces()
  /** Added to what llhttp calls a position. */
  #offset = 0

  constructor(type: typeof REQUEST | typeof RESPONSE, headLimitBytes: number) {
    this.#parser = allocate(type)
    this.#headLimitBytes = headLimitBytes
    this.#skipsEmptyLines = type === REQUEST
  }

  /** Part of a message's head has been read, but not all. */
  get midHead(): boolean {
    return this.#pieces.length > 0 && !this.headComplete
  }

  get method(): string {
    return methodOf(this.#parser)
  }

  get status(): number {
    return statusOf(this.#parser)
  }

  /** Minor version of HTTP/1; -1 for any other major version. */
  get minorVersion(): number {
    return majorOf(this.#parser) === 1 ? minorOf(this.#parser) : -1
  }

  get isChunked(): boolean {
    return (flagsOf(this.#parser) & FLAG_CHUNKED) !== 0
  }

  get hasTransferEncoding(): boolean {
    return (flagsOf(this.#parser) & FLAG_TRANSFER_ENCODING) !== 0
  }

  /** -1 without a Content-Length. */
  get contentLength(): number {
    return (flagsOf(this.#parser) & FLAG_CONTENT_LENGTH) === 0 ? -1 : contentLengthOf(this.#parser)
  }

  /**
   * Reads on until the head is complete. Returns the position in `bytes` up to which they belong to the head; look at
   * `fault` and `headComplete` first.
   */
  readHead(bytes: Buffer, from: number, to: number): number {
    if (this.#pieces.length > 0) return this.#readHeadPiece(bytes, from, to)
    let start = from
    while (this.#skipsEmptyLines && start < to && (bytes[start] === LF || bytes[start] === CR)) start++
    if (start === to) return to
    const end = this.#run(bytes, start, to)
    if (this.fault !== null) return end
    if (this.headComplete) {
      this.head = bytes
      this.headStart = start
      this.headEnd = end
      if (end - start > this.#headLimitBytes) this.fault = 'too_large'
      return end
    }
    this.fields = this.fields.slice()
    this.#rebase(-start)
    this.#pieces.add(bytes, start, to)
    if (this.#pieces.length > this.#headLimitBytes) this.fault = 'too_large'
    return to
  }

  /** Begins the body; to be called once, when the head is complete and judged. */
  beginBody(framing: Framing, contentLength: number): void {
    this.#framing = framing
    this.#remainingBytes = contentLength
    this.#chunkOverhead.begin()
    this.complete = framing === 'none' || (framing === 'length' && contentLength === 0)
    if (framing === 'chunked' && this.#parser !== 0) resume(this.#parser)
  }

  /** Reads on in the body. Returns the position in `bytes` up to which they belong to this message. */
  readBody(bytes: Buffer, from: number, to: number): number {
    // Setting an array's length, be it the same, is a call into V8's runtime.
    if (this.data.length > 0) this.data.length = 0
    this.dataBytes = 0
    this.trailerStart = -1
    if (this.complete) return from
    if (this.#framing === 'chunked') return this.#readChunks(bytes, from, to)
    if (this.#framing === 'until_close') return to
    const end = Math.min(to, from + this.#remainingBytes)
    this.dataBytes = end - from
    this.#remainingBytes -= this.dataBytes
    if (this.#remainingBytes === 0) this.complete = true
    return end
  }

  /** Makes ready for the next message of the connection. */
  next(): void {
    if (this.#parser !== 0) reset(this.#parser)
    this.headComplete = false
    this.complete = false
    this.head = EMPTY
    this.fields = sharedSpans
    this.fieldCount = 0
    this.urlStart = -1
    this.trailerStart = -1
    this.#part = 0
    this.#pieces.clear()
  }

  /** Gives the parser's memory back; nothing can be read after it. */
  free(): void {
    if (this.#parser !== 0) free(this.#parser)
    this.#parser = 0
    this.fault = 'invalid'
  }

  #readHeadPiece(bytes: Buffer, from: number, to: number): number {
    const start = this.#pieces.length
    this.#pieces.add(bytes, from, to)
    const end = this.#run(this.#pieces.bytes, start, this.#pieces.length)
    if (this.fault !== null) return from
    const headBytes = this.headComplete ? end : this.#pieces.length
    if (headBytes > this.#headLimitBytes) this.fault = 'too_large'
    if (!this.headComplete) return to
    this.head = this.#pieces.bytes
    this.headStart = 0
    this.headEnd = end
    return from + (end - start)
  }

  #rebase(by: number): void {
    for (let at = 0; at < this.fieldCount * FIELD_STRIDE; at += 2) {
      this.fields[at] = (this.fields[at] as number) + by
    }
    if (this.urlStart >= 0) this.urlStart += by
    this.urlEnd += by
  }

  #readChunks(bytes: Buffer, from: number, to: number): number {
    const end = this.#run(bytes, from, to)
    if (!this.#chunkOverhead.count(end - from, this.dataBytes)) this.fault = 'too_large'
    return end
  }

  #run(bytes: Buffer, from: number, to: number): number {
    let position = from
    while (position < to && this.#parser !== 0) {
      const end = Math.min(to, position + INPUT_LIMIT_BYTES)
      this.#offset = position
      const result = execute(this.#parser, this, bytes, position, end)
      if (result === OK) {
        position = end
        continue
      }
      if (result !== PAUSED) this.fault = 'invalid'
      return position + stoppedAt(this.#parser)
    }
    return position
  }

  onUrl(at: number, length: number): void {
    if (this.urlStart < 0) this.urlStart = at + this.#offset
    this.urlEnd = at + this.#offset + length
  }

  onFieldName(at: number, length: number): void {
    const start = at + this.#offset
    if (this.headComplete) {
      if (this.trailerStart < 0) this.trailerStart = start
      return
    }
    if (this.#part === NAME) {
      // The name went on in another piece of input.
      const span = (this.fieldCount - 1) * FIELD_STRIDE
      this.fields[span + 1] = start + length - (this.fields[span] as number)
      return
    }
    this.#part = NAME
    const span = this.fieldCount++ * FIELD_STRIDE
    if (span === this.fields.length) {
      const larger = new Int32Array(2 * span)
      larger.set(this.fields)
      this.fields = larger
    }
    this.fields[span] = start
    this.fields[span + 1] = length
    this.fields[span + 2] = start + length
    this.fields[span + 3] = 0
  }

  onFieldValue(at: number, length: number): void {
    if (this.headComplete) return
    const start = at + this.#offset
    const span = (this.fieldCount - 1) * FIELD_STRIDE
    if (this.#part === NAME) this.fields[span + 2] = start
    this.#part = VALUE
    this.fields[span + 3] = start + length - (this.fields[span + 2] as number)
  }

  onHeadersComplete(keepAlive: boolean): void {
    this.keepAlive = keepAlive
    this.headComplete = true
  }

  onBody(at: number, length: number): void {
    this.data.push(at + this.#offset, at + this.#offset + length)
    this.dataBytes += length
  }

  onMessageComplete(): void {
    this.complete = true
  }
}
