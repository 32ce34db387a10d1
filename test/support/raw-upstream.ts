import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { ByteReader } from './byte-reader.ts'
import { type BodyEnd, type Fields, readBody, readHead } from './http-message.ts'

/** A request as it came over the wire. */
export interface RawRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly fields: Fields
  /** What came of the body so far. */
  readonly pieces: Buffer[]
  /** The whole body; rejects with `IncompleteMessage` when the connection ends before it does. */
  readonly body: Promise<Buffer>
  readonly trailers: Promise<Fields>
  /** Whether all of it came. */
  complete: boolean
  /** Number of the connection, from 1. */
  readonly connection: number
  readonly socket: Socket
  readonly reader: ByteReader
  /** Resolves when its connection is closed. */
  readonly closed: Promise<void>
}

/** Called with each request as soon as its head is there. The next one on the connection is read when this has returned. */
export type Script = (request: RawRequest) => void | Promise<void>

/** An upstream that answers the bytes its script says. It notes every request, so that a smuggled one shows. */
export class RawUpstream {
  readonly requests: RawRequest[] = []
  readonly sockets = new Set<Socket>()
  script: Script
  connections = 0
  readonly #server: Server
  #onRequest: () => void = () => {}

  constructor(script: Script = answerOk) {
    this.script = script
    this.#server = createServer((socket) => void this.#serve(socket))
  }

  async listen(port = 0): Promise<this> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}`)
  }

  /** The request with that number, from 0, as soon as its head has come. */
  async request(at: number): Promise<RawRequest> {
    for (;;) {
      const request = this.requests[at]
      if (request !== undefined) return request
      await new Promise<void>((resolve) => {
        this.#onRequest = resolve
      })
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #serve(socket: Socket): Promise<void> {
    const connection = ++this.connections
    const reader = new ByteReader(socket)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    this.sockets.add(socket)
    socket.setNoDelay(true)
    void closed.then(() => this.sockets.delete(socket))
    try {
      for (;;) {
        const { startLine, fields } = await readHead(reader)
        const [method = '', target = '', version = ''] = startLine.split(' ')
        const pieces: Buffer[] = []
        const message = readBody(reader, requestEnd(fields), (piece) => pieces.push(piece))
        const request: RawRequest = {
          method,
          target,
          version,
          fields,
          pieces,
          body: message.then(({ body }) => body),
          trailers: message.then(({ trailers }) => trailers),
          complete: false,
          connection,
          socket,
          reader,
          closed,
        }
        request.body.then(() => {
          request.complete = true
        }, ignore)
        request.trailers.catch(ignore)
        message.catch(ignore)
        this.requests.push(request)
        this.#onRequest()
        await this.script(request)
        await message
      }
    } catch {
      // The connection ended, which a script that cares sees by `closed`.
    }
  }
}

/** Answers 200 with `ok` once the request is complete. */
export async function answerOk(request: RawRequest): Promise<void> {
  await request.body
  answer(request, 200, [], 'ok')
}

/** Writes an answer with the length of its body. */
export function answer(request: RawRequest, status: number, fields: readonly string[] = [], body = ''): void {
  const lines = [
    `HTTP/1.1 ${status} Status`,
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
    ...fields,
  ]
  request.socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1'))
}

function requestEnd(fields: Fields): BodyEnd {
  if (fields.get('transfer-encoding') !== null) return 'chunked'
  return Number(fields.get('content-length') ?? 0)
}

function ignore(): void {}
