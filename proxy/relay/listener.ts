import { createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../lib/address.ts'
import { bind } from '../lib/bind.ts'

/** Waits for callers on a TCP port or a socket file. */
export class Listener {
  readonly #address: ListenAddress
  readonly #server: Server

  constructor(address: ListenAddress, onAccepted: (socket: Socket) => void) {
    this.#address = address
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onAccepted)
    // One accept that fails (out of descriptors) must not end the process; the caller sees a refused connection.
    this.#server.on('error', () => {})
  }

  /** Resolves to the address bound; rejects with the system error. */
  open(): Promise<string> {
    return bind(this.#server, this.#address)
  }

  /** Accepts no more connections; those that are open stay. */
  close(): void {
    if (this.#server.listening) this.#server.close()
  }
}
