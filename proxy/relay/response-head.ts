import { FieldTable, listMembers, trimmed } from './field-table.ts'
import { rewriteRefresh } from './location.ts'
import { FIELD_STRIDE, type Framing, type MessageReader } from './message-reader.ts'
import { latin1 } from './piece.ts'

const CONNECTION = 1
const HOP_BY_HOP = 2
const KEEP_ALIVE = 3
const TRANSFER_ENCODING = 4
const CONTENT_LENGTH = 5
const CONTENT_TYPE = 6
const CONTENT_ENCODING = 7
const LOCATION = 8
const UPGRADE = 9
const LOOK_ALIKE = 10
const REFRESH = 11

type Kind = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11

const fields = new FieldTable<Kind>(
  [
    ['connection', CONNECTION],
    ['proxy-connection', HOP_BY_HOP],
    ['proxy-authenticate', HOP_BY_HOP],
    ['keep-alive', KEEP_ALIVE],
    ['transfer-encoding', TRANSFER_ENCODING],
    ['content-length', CONTENT_LENGTH],
    ['content-type', CONTENT_TYPE],
    ['content-encoding', CONTENT_ENCODING],
    ['location', LOCATION],
    ['content-location', LOCATION],
    ['refresh', REFRESH],
    ['upgrade', UPGRADE],
  ],
  [],
  LOOK_ALIKE,
)

/**
 * RFC 9112, section 4. llhttp takes a bare CR for the end of the line, where other programs see other lines, and control
 * characters in the reason. The sidecar passes the line on in its own version, whatever the upstream speaks (section 2.3).
 */
const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?\r\n$/

/** Turns a `Location` that points back to the upstream's own origin into one that points to the sidecar. */
export type LocationRewrite = (value: string) => string

/** The head of one answer as received, and what of it goes on. */
export class ResponseHead {
  status = 0
  /** The upstream would take another request on this connection. */
  keepAlive = false
  /** Seconds the upstream says it keeps an idle connection (`Keep-Alive: timeout=5`); -1 when it does not say. */
  keepAliveS = -1
  framing: Framing = 'none'
  contentLength = 0
  contentType: string | null = null
  contentEncoding: string | null = null
  #upgrade: string | null = null
  #statusLine = ''
  #passing = ''
  #nominated: Set<string> | null = null
  #transferEncodings = 0
  #isPlainlyChunked = false

  /**
   * Takes the head over from the reader; `method` is the request's. Fields of a body are dropped where there is none or when
   * the caller does not understand them. False: not an answer that can be passed on (502).
   */
  read(reader: MessageReader, method: string, toHttp10: boolean, rewrite: LocationRewrite): boolean {
    const text = latin1(reader.head, reader.headStart, reader.headEnd)
    this.status = reader.status
    this.keepAlive = reader.keepAlive
    this.#nominated = null
    const bodiless = method === 'HEAD' || this.status < 200 || this.status === 204 || this.status === 304
    const dropsLength = this.status < 200 || this.status === 204
    const dropsCoding = dropsLength || this.status === 304 || toHttp10
    this.#readFields(reader, text, rewrite, dropsLength, dropsCoding)
    if (this.#nominated !== null) this.#readFields(reader, text, rewrite, dropsLength, dropsCoding)
    const { fieldCount, fields: spans, headStart } = reader
    const lineEnd = fieldCount === 0 ? text.length - 2 : (spans[0] as number) - headStart
    const line = text.slice(0, lineEnd)
    if (!STATUS_LINE.test(line)) return false
    this.#statusLine = reader.minorVersion === 1 ? line : `HTTP/1.1${line.slice('HTTP/1.x'.length)}`
    // A body that must not be there may come nevertheless, and be taken for the next answer.
    if (dropsLength && (this.#transferEncodings > 0 || reader.contentLength > 0)) this.keepAlive = false
    return this.#decideFraming(reader, bodiless)
  }

  /** A valid answer to a WebSocket handshake. */
  get acceptsWebSocket(): boolean {
    return this.status === 101 && this.#upgrade !== null && this.#upgrade.toLowerCase() === 'websocket'
  }

  /** The head for the caller, with `connection` as its last line (complete, or empty). */
  forwarded(connection: string): string {
    return `${this.#statusLine}${this.#passing}${connection}\r\n`
  }

  #readFields(
    reader: MessageReader,
    text: string,
    rewrite: LocationRewrite,
    dropsLength: boolean,
    dropsCoding: boolean,
  ): void {
    this.keepAliveS = -1
    this.contentType = null
    this.contentEncoding = null
    this.#upgrade = null
    this.#transferEncodings = 0
    this.#isPlainlyChunked = false
    const { fields: spans, headStart, fieldCount } = reader
    const nominated = this.#nominated
    const lastLine = text.length - 2
    let passing = ''
    let run = fieldCount === 0 ? lastLine : (spans[0] as number) - headStart
    for (let index = 0, span = 0; index < fieldCount; index++, span += FIELD_STRIDE) {
      const start = (spans[span] as number) - headStart
      const length = spans[span + 1] as number
      const kind = fields.kindOf(text, start, length)
      if (kind === 0 && nominated === null) continue
      const valueStart = (spans[span + 2] as number) - headStart
      const hasMeaning = kind !== 0 && kind !== CONTENT_LENGTH
      const value = hasMeaning ? trimmed(text, valueStart, spans[span + 3] as number) : ''
      const isFraming = kind === CONTENT_LENGTH || kind === TRANSFER_ENCODING
      let passes = true
      let replacement = ''
      if (kind === CONTENT_LENGTH) passes = !dropsLength
      else if (kind === TRANSFER_ENCODING) passes = this.#readCoding(value) && !dropsCoding
      else if (kind === LOCATION || kind === REFRESH) {
        const rewritten = kind === LOCATION ? rewrite(value) : rewriteRefresh(value, rewrite)
        passes = rewritten === value
        if (!passes) replacement = `${text.slice(start, start + length)}: ${rewritten}\r\n`
      } else if (kind !== 0) passes = this.#passes(kind, value)
      if (!isFraming && nominated?.has(text.slice(start, start + length).toLowerCase())) {
        passes = false
        replacement = ''
      }
      if (passes) continue
      passing += text.slice(run, start) + replacement
      run = index + 1 === fieldCount ? lastLine : (spans[span + FIELD_STRIDE] as number) - headStart
    }
    this.#passing = passing + text.slice(run, lastLine)
  }

  #readCoding(value: string): boolean {
    this.#transferEncodings++
    this.#isPlainlyChunked = value.toLowerCase() === 'chunked'
    return true
  }

  #passes(kind: Kind, value: string): boolean {
    switch (kind) {
      case CONNECTION:
        this.#readConnection(value)
        return false
      case KEEP_ALIVE: {
        const seconds = /(?:^|[\s,;])timeout=(\d{1,6})/i.exec(value)?.[1]
        if (seconds !== undefined) this.keepAliveS = Number(seconds)
        return false
      }
      case CONTENT_TYPE:
        this.contentType = value
        return true
      case CONTENT_ENCODING:
        this.contentEncoding = this.contentEncoding === null ? value : `${this.contentEncoding}, ${value}`
        return true
      case UPGRADE:
        this.#upgrade = value
        return false
      case LOOK_ALIKE:
        return true
      default:
        return false
    }
  }

  #readConnection(value: string): void {
    if (value === 'keep-alive' || value === 'close') return
    for (const option of listMembers(value)) {
      if (option === 'keep-alive' || option === 'close' || option === 'upgrade') continue
      this.#nominated ??= new Set()
      this.#nominated.add(option)
    }
  }

  /** RFC 9112, section 6.3, for answers; a coding other than one plain `chunked` cannot be passed on unharmed to every caller. */
  #decideFraming(reader: MessageReader, bodiless: boolean): boolean {
    this.contentLength = 0
    if (bodiless) {
      this.framing = 'none'
      return true
    }
    if (this.#transferEncodings > 0 || reader.hasTransferEncoding) {
      this.framing = 'chunked'
      return (
        this.#transferEncodings === 1 &&
        this.#isPlainlyChunked &&
        reader.isChunked &&
        reader.minorVersion === 1
      )
    }
    const length = reader.contentLength
    this.framing = length < 0 ? 'until_close' : 'length'
    this.contentLength = Math.max(0, length)
    return length <= Number.MAX_SAFE_INTEGER
  }
}
