import { createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../lib/address.ts'
import { bind } from '../lib/bind.ts'
import { afterEvents, type Clock } from '../lib/clock.ts'

/** A newcomer waits for others no longer than this. */
const LONGEST_GATHERING_MS = 200

/**
 * Waits for callers on a TCP port or a socket file. Connections that come together are handed on together: the event loop takes in
 * one in each of its turns (libuv, pull request 3696) and serves all it has in between, so that under load the last of 256 had to wait for
 * a second until it was let in. Nobody is served while there are more to come, which takes some 50 microseconds for each.
 */
export class Listener {
  readonly #address: ListenAddress
  readonly #server: Server
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #onAccepted: (socket: Socket) => void
  #gathered: Socket[] = []
  #gatheringSince = 0
  #hasNewcomer = false

  constructor(address: ListenAddress, clock: Pick<Clock, 'monotonic'>, onAccepted: (socket: Socket) => void) {
    this.#address = address
    this.#clock = clock
    this.#onAccepted = onAccepted
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#gather(socket),
    )
    // One accept that fails (out of descriptors) must not end the process; the caller sees a refused connection.
    this.#server.on('error', () => {})
  }

  /** Resolves to the address bound; rejects with the system error. */
  open(): Promise<string> {
    return bind(this.#server, this.#address)
  }

  /** Accepts no more connections; those that were accepted are handed on. */
  close(): void {
    if (this.#server.listening) this.#server.close()
    this.#handOn()
  }

  #gather(socket: Socket): void {
    this.#hasNewcomer = true
    if (this.#gathered.push(socket) > 1) return
    this.#gatheringSince = this.#clock.monotonic()
    afterEvents(() => this.#afterTurn())
  }

  #afterTurn(): void {
    if (this.#hasNewcomer && this.#clock.monotonic() - this.#gatheringSince < LONGEST_GATHERING_MS) {
      this.#hasNewcomer = false
      afterEvents(() => this.#afterTurn())
      return
    }
    this.#handOn()
  }

  #handOn(): void {
    for (const socket of this.#gathered.splice(0)) this.#onAccepted(socket)
  }
}
