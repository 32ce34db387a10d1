import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where an attack goes, and until when. */
export interface Attack {
  readonly port: number
  readonly bombBytes: number
  readonly signal: AbortSignal
  /** Something is wrong with what the sidecar did. */
  fail(what: string): void
}

/** A connection that is opened to do harm: whatever happens to it is no error. It reads nothing unless it is told to. */
export class AttackConnection {
  readonly #socket: Socket
  readonly #signal: AbortSignal

  private constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
  }

  static async open({ port, signal }: Attack): Promise<AttackConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => {})
    socket.pause()
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})
    return new AttackConnection(socket, signal)
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#signal.aborted
  }

  write(data: string | Buffer): boolean {
    return this.#socket.writable && this.#socket.write(data, 'latin1')
  }

  /** Resolves when the system has taken it, or the connection has ended. */
  async writeAll(data: string | Buffer): Promise<void> {
    if (this.write(data) || !this.isOpen) return
    await this.#until('drain')
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Waits a while; less when it is time to stop. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#signal }).catch(() => {})
  }

  /** Reads on; how many bytes came. */
  async toEnd(): Promise<number> {
    this.#socket.resume()
    if (!this.#socket.closed) await this.#until('close')
    return this.#socket.bytesRead
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #until(event: 'drain' | 'close'): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off(event, done).off('close', done)
        resolve()
      }
      this.#socket.once(event, done).once('close', done)
    })
  }
}
