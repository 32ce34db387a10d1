import { ProblemError } from '../lib/errors.ts'
import type { HeldToken } from '../token/source.ts'
import type { CallHead } from './admission.ts'
import { type CallIds, requestIdIn, traceIdIn } from './call-ids.ts'
import { listMembers, trimmed } from './field-table.ts'
import type { Route } from './forwarder.ts'
import { FIELD_STRIDE, type Framing, type MessageReader } from './message-reader.ts'
import { latin1 } from './piece.ts'
import {
  CALLER_KEY,
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  HOST,
  type Kind,
  ORIGIN,
  OVERRIDE,
  type RequestFields,
  SEC_FETCH_SITE,
  TRANSFER_ENCODING,
  UPGRADE,
} from './request-fields.ts'

/**
 * One call's head as received, and what of it goes on. Every field that could change who is speaking or where the message
 * ends is taken out here; Host and the token are put in by `forwardedHead` afterwards, so nothing can take those out.
 */
export class RequestHead implements CallHead, CallIds {
  method = ''
  target = ''
  host: string | null = null
  hostCount = 0
  origin: string | null = null
  secFetchSite: string | null = null
  callerKey: string | null = null
  overrides = false
  http10 = false
  /** The caller would read another answer on this connection. */
  keepAlive = false
  framing: Framing = 'none'
  contentLength = 0
  /** A WebSocket handshake; every other upgrade is treated as an ordinary call. */
  isUpgrade = false
  /** The caller waits to be told before it sends the body. */
  expectsContinue = false
  /** The field lines that pass. */
  #passing = ''

  readonly #fields: RequestFields
  #knownHost = ''
  #asksUpgrade = false
  #transferEncodings = 0
  #isPlainlyChunked = false
  #isPlainLength = true
  #upgrade: string | null = null
  #nominated: Set<string> | null = null

  constructor(fields: RequestFields) {
    this.#fields = fields
  }

  /** Looked for when it is asked for: few calls are logged or answered here. */
  get requestId(): string | null {
    return requestIdIn(this.#passing)
  }

  get traceId(): string | null {
    return traceIdIn(this.#passing)
  }

  /** Takes the head over from the reader. False: it is not a request that may be forwarded (400). */
  read(reader: MessageReader): boolean {
    const text = latin1(reader.head, reader.headStart, reader.headEnd)
    this.method = reader.method
    this.target = text.slice(reader.urlStart - reader.headStart, reader.urlEnd - reader.headStart)
    this.http10 = reader.minorVersion === 0
    this.keepAlive = reader.keepAlive
    this.#nominated = null
    this.#readFields(reader, text)
    // What a Connection line names may stand above it.
    if (this.#nominated !== null) this.#readFields(reader, text)
    if (!hasValidVersion(reader, text) || !this.#decideFraming(reader)) return false
    this.#decideUpgrade()
    return true
  }

  /** The head for the upstream up to where the token goes: the same however often the call is sent. */
  forwarded(target: string, hostLine: string): string {
    let lines = `${this.method} ${target} HTTP/1.1\r\n${hostLine}${this.#passing}`
    if (this.isUpgrade) lines += 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    return lines
  }

  #readFields(reader: MessageReader, text: string): void {
    this.host = null
    this.hostCount = 0
    this.origin = null
    this.secFetchSite = null
    this.callerKey = null
    this.overrides = false
    this.expectsContinue = false
    this.#asksUpgrade = false
    this.#transferEncodings = 0
    this.#isPlainlyChunked = false
    this.#isPlainLength = true
    this.#upgrade = null
    const { fields, headStart, fieldCount } = reader
    const nominated = this.#nominated
    const lastLine = text.length - 2
    let passing = ''
    let run = fieldCount === 0 ? lastLine : (fields[0] as number) - headStart
    for (let index = 0, span = 0; index < fieldCount; index++, span += FIELD_STRIDE) {
      const start = (fields[span] as number) - headStart
      const length = fields[span + 1] as number
      const kind = this.#fields.kindOf(text, start, length)
      if (kind === 0) {
        if (nominated === null || !nominated.has(text.slice(start, start + length).toLowerCase())) continue
      } else {
        const valueStart = (fields[span + 2] as number) - headStart
        const valueLength = fields[span + 3] as number
        const value =
          kind === HOST ? this.#hostIn(text, valueStart, valueLength) : trimmed(text, valueStart, valueLength)
        if (this.#passes(kind, value) && !isNominated(nominated, kind, text, start, length)) continue
      }
      passing += text.slice(run, start)
      run = index + 1 === fieldCount ? lastLine : (fields[span + FIELD_STRIDE] as number) - headStart
    }
    this.#passing = passing + text.slice(run, lastLine)
  }

  /** The value of Host: the same string as in the calls before, which is told from what is allowed at a glance. */
  #hostIn(text: string, start: number, length: number): string {
    const known = this.#knownHost
    if (known.length === length && text.startsWith(known, start)) return known
    const value = trimmed(text, start, length)
    // A copy: V8 compares parts of other strings the slow way.
    this.#knownHost = latin1(Buffer.from(value, 'latin1'), 0, value.length)
    return this.#knownHost
  }

  /** Notes what the field says. Whether its line may pass. */
  #passes(kind: Kind, value: string): boolean {
    switch (kind) {
      case HOST:
        this.hostCount++
        this.host = value
        return false
      case CONNECTION:
        this.#readConnection(value)
        return false
      case UPGRADE:
        this.#upgrade = joined(this.#upgrade, value)
        return false
      case EXPECT:
        if (value.toLowerCase() !== '100-continue') return true
        // RFC 9110, section 10.1.1: an HTTP/1.0 caller does not know 100 (Continue).
        this.expectsContinue = !this.http10
        return false
      case TRANSFER_ENCODING:
        this.#transferEncodings++
        this.#isPlainlyChunked = value.toLowerCase() === 'chunked'
        return true
      case CONTENT_LENGTH:
        this.#isPlainLength = value.length === 1 || !value.startsWith('0')
        return true
      case ORIGIN:
        this.origin = joined(this.origin, value)
        return true
      case SEC_FETCH_SITE:
        this.secFetchSite = joined(this.secFetchSite, value)
        return true
      case CALLER_KEY:
        this.callerKey = joined(this.callerKey, value)
        return false
      case OVERRIDE:
        this.overrides = true
        return true
      default:
        return false
    }
  }

  #readConnection(value: string): void {
    if (value === 'keep-alive' || value === 'close' || value === 'Keep-Alive') return
    for (const option of listMembers(value)) {
      if (option === 'upgrade') this.#asksUpgrade = true
      else if (option !== 'keep-alive' && option !== 'close') {
        this.#nominated ??= new Set()
        this.#nominated.add(option)
      }
    }
  }

  /**
   * llhttp has refused what RFC 9112, section 6.3, calls an error; refused here is what is valid, but read differently by
   * different servers: transfer codings other than one plain `chunked`, any in HTTP/1.0, and lengths with leading zeros.
   */
  #decideFraming(reader: MessageReader): boolean {
    this.framing = 'none'
    this.contentLength = 0
    if (this.#transferEncodings > 0 || reader.hasTransferEncoding) {
      this.framing = 'chunked'
      return this.#transferEncodings === 1 && this.#isPlainlyChunked && reader.isChunked && !this.http10
    }
    const length = reader.contentLength
    if (length > 0) {
      this.framing = 'length'
      this.contentLength = length
    }
    return this.#isPlainLength && length <= Number.MAX_SAFE_INTEGER
  }

  #decideUpgrade(): void {
    this.isUpgrade =
      this.#asksUpgrade &&
      this.#upgrade !== null &&
      this.#upgrade.toLowerCase() === 'websocket' &&
      this.method === 'GET' &&
      !this.http10 &&
      this.framing === 'none'
  }
}

/** llhttp also takes RTSP and ICE, and HTTP/0.9 without a version. */
function hasValidVersion(reader: MessageReader, text: string): boolean {
  const end = reader.urlEnd - reader.headStart
  return text.startsWith(' HTTP/1.1\r\n', end) || text.startsWith(' HTTP/1.0\r\n', end)
}

/** Whether a Connection line names the field; never true of the fields that say where the message ends. */
function isNominated(
  nominated: ReadonlySet<string> | null,
  kind: Kind,
  text: string,
  start: number,
  length: number,
): boolean {
  if (nominated === null || kind === TRANSFER_ENCODING || kind === CONTENT_LENGTH) return false
  return nominated.has(text.slice(start, start + length).toLowerCase())
}

const joined = (before: string | null, value: string): string =>
  before === null ? value : `${before}, ${value}`

/** The token's line in the heads of one route, kept as long as the same token is held. */
export class CredentialLine {
  readonly #name: string
  readonly #prefix: string
  #token: HeldToken | null = null
  #line = ''

  constructor(route: Route) {
    this.#name = route.tokenHeader
    this.#prefix = route.tokenPrefix
  }

  /** The last lines of a head: the token's field and the empty line. Throws `token_unavailable` for a token no field can hold. */
  with(token: HeldToken): string {
    if (token === this.#token) return this.#line
    const value = this.#prefix + token.value.reveal()
    if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) {
      throw new ProblemError('token_unavailable', {
        detail: 'the token holds characters no field value may hold',
      })
    }
    this.#line = `${this.#name}: ${value}\r\n\r\n`
    this.#token = token
    return this.#line
  }
}

/** The bytes of a token, for masking what comes back. */
export function tokenBytes(token: HeldToken): Buffer {
  return Buffer.from(token.value.reveal(), 'latin1')
}
