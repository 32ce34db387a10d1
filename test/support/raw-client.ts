import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ByteReader } from './byte-reader.ts'
import { type BodyEnd, type Fields, readBody, readHead } from './http-message.ts'

/** An answer as it came over the wire, with the interim answers before it. */
export interface RawAnswer {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly fields: Fields
  readonly body: Buffer
  readonly text: string
  readonly trailers: Fields
  readonly interim: readonly { readonly status: number; readonly fields: Fields }[]
}

/** A caller that writes bytes and reads answers, so that a test decides about every one of them. */
export class RawClient {
  readonly socket: Socket
  readonly reader: ByteReader
  /** Resolves when the connection is closed for good. */
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    this.reader = new ByteReader(socket)
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  static async connect(to: { port: number; host?: string } | { path: string }): Promise<RawClient> {
    const socket = connect(to)
    await once(socket, 'connect')
    socket.setNoDelay(true)
    return new RawClient(socket)
  }

  /** Text is written byte for byte as Latin-1. */
  write(data: string | Buffer): boolean {
    return this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
  }

  /** The head of the next answer, interim ones apart. */
  async head(): Promise<Omit<RawAnswer, 'body' | 'text' | 'trailers'>> {
    const interim: { status: number; fields: Fields }[] = []
    for (;;) {
      const { startLine, fields } = await readHead(this.reader)
      const [, version = '', code = '', reason = ''] = /^(HTTP\/\d\.\d) (\d{3}) ?(.*)$/.exec(startLine) ?? []
      const status = Number(code)
      if (status >= 200 || status === 101) return { version, status, reason, fields, interim }
      interim.push({ status, fields })
    }
  }

  /** The next answer; `method` is that of the call, since an answer to HEAD has no body. Rejects with `IncompleteMessage`. */
  async answer(method = 'GET'): Promise<RawAnswer> {
    const head = await this.head()
    const { body, trailers } = await readBody(this.reader, bodyEnd(method, head))
    return { ...head, body, trailers, text: body.toString('latin1') }
  }

  /** Writes a call and reads its answer. */
  async call(data: string | Buffer): Promise<RawAnswer> {
    this.write(data)
    return await this.answer(data.toString('latin1').split(' ', 1)[0])
  }

  destroy(): void {
    this.socket.destroy()
  }
}

function bodyEnd(method: string, { status, fields }: { status: number; fields: Fields }): BodyEnd {
  if (method === 'HEAD' || status === 204 || status === 304 || status === 101) return 0
  if (fields.get('transfer-encoding') !== null) return 'chunked'
  const length = fields.get('content-length')
  return length === null ? 'close' : Number(length)
}
