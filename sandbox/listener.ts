import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Timers } from './clock.ts'

/** Certificate and key of a listener, PEM. */
export interface ListenerTls {
  readonly cert: string
  readonly key: string
}

export interface ListenerOptions {
  readonly host: string
  /** 0 picks a free one, which is kept when the listener is shut and opened again. */
  readonly port: number
  readonly tls: ListenerTls | null
  /** How long an idle connection is kept, ms. */
  readonly keepAliveMs: number
  readonly timers: Timers
  readonly handle: (req: IncomingMessage, res: ServerResponse, expectsContinue: boolean) => void
}

const REOPEN_PAUSE_MS = 20

/** One port, which can be shut (connection refused) and opened again while the program runs. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #accepted = new Set<Socket>()
  /** What requests arrive on: the accepted sockets themselves, or the TLS sockets around them. */
  readonly #carrying = new Set<Socket>()
  readonly #spared = new WeakSet<Socket>()
  #server: Server | null = null
  #port: number
  /** Whether connections should be accepted; what is under way towards the other state gives up. */
  #wanted = true

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#port = options.port
  }

  /** `http://127.0.0.1:4010`, without a slash at the end. */
  get origin(): string {
    const { host, tls } = this.#options
    return `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${this.#port}`
  }

  /** Resolves when connections are accepted, or when it was shut meanwhile. Rejects with the system error. */
  open(): Promise<void> {
    const server = this.#create()
    this.#server = server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      // Shut in this very turn: then the system never says that it listens.
      server.once('close', resolve)
      server.listen(this.#port, this.#options.host, () => {
        server.off('error', reject)
        this.#port = (server.address() as AddressInfo).port
        // Shut while the host's name was looked up: closing a server that does not listen yet has no effect.
        if (this.#server !== server) server.close()
        resolve()
      })
    })
  }

  /** The connection outlives `shut`: it carries the control endpoint, which has to open the port again. */
  spare(socket: Socket): void {
    this.#spared.add(socket)
  }

  /** From now on the system refuses connections; those that are open are reset, as when the program died. */
  shut(): void {
    this.#wanted = false
    this.#server?.close()
    this.#server = null
    for (const socket of this.#carrying) if (!this.#spared.has(socket)) reset(socket)
  }

  /** Opens the same port again after `shut`; waits while an outgoing connection of this machine happens to use it. */
  async reopen(): Promise<void> {
    this.#wanted = true
    while (this.#wanted && this.#server === null) {
      try {
        await this.open()
      } catch (error) {
        this.#server = null
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
        await this.#options.timers.sleep(REOPEN_PAUSE_MS)
      }
    }
  }

  /** Ends the listener and every connection; resolves when the last one is gone. */
  async close(): Promise<void> {
    this.#wanted = false
    this.#server?.close()
    this.#server = null
    const gone = [...this.#accepted].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of this.#accepted) socket.destroy()
    await Promise.all(gone)
  }

  #create(): Server {
    const { tls, handle, keepAliveMs } = this.#options
    // The default time limits would cut the slow uploads and hanging answers that this program is for.
    const settings = { requestTimeout: 0, keepAliveTimeout: keepAliveMs }
    const server = tls === null ? createServer(settings) : createTlsServer({ ...settings, ...tls })
    server.on('request', (req: IncomingMessage, res: ServerResponse) => handle(req, res, false))
    server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => handle(req, res, true))
    server.on('connection', (socket: Socket) => track(this.#accepted, socket))
    server.on(tls === null ? 'connection' : 'secureConnection', (socket: Socket) => {
      track(this.#carrying, socket)
    })
    return server
  }
}

/** Cuts the connection so that the other side sees a reset, not an orderly end. */
export function reset(socket: Socket): void {
  // Node can only send RST on a plain TCP socket; under TLS a cut without close_notify is as abrupt.
  if ('encrypted' in socket) socket.destroy()
  else socket.resetAndDestroy()
}

function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
}
