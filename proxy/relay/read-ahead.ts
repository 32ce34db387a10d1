import type { Socket } from 'node:net'

/** What a caller may send ahead of the answer it waits for. */
const LIMIT_BYTES = 32_768

/** Why reading is stopped; it goes on when no reason is left. */
const PAUSED_BY_BODY = 1
const PAUSED_BY_AHEAD = 2

/** What of a connection is read when: calls sent ahead are kept, and reading stops while nobody takes what comes. */
export class ReadAhead {
  readonly #socket: Socket
  #kept: Buffer | null = null
  #pauses = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  get isEmpty(): boolean {
    return this.#kept === null
  }

  get isBodyPaused(): boolean {
    return (this.#pauses & PAUSED_BY_BODY) !== 0
  }

  keep(bytes: Buffer, from: number, to: number): void {
    const more = bytes.subarray(from, to)
    // Copied: the memory belongs to the next read.
    this.#kept = this.#kept === null ? Buffer.from(more) : Buffer.concat([this.#kept, more])
    if (this.#kept.length >= LIMIT_BYTES) this.#pause(PAUSED_BY_AHEAD)
  }

  take(): Buffer | null {
    const kept = this.#kept
    this.#kept = null
    return kept
  }

  pauseBody(): void {
    this.#pause(PAUSED_BY_BODY)
  }

  resumeBody(): void {
    this.#resume(PAUSED_BY_BODY)
  }

  /** Whatever it was stopped for: what comes in is wanted. */
  resume(): void {
    this.#resume(PAUSED_BY_BODY | PAUSED_BY_AHEAD)
  }

  #pause(reason: number): void {
    if (this.#pauses === 0) this.#socket.pause()
    this.#pauses |= reason
  }

  #resume(reason: number): void {
    if (this.#pauses === 0) return
    this.#pauses &= ~reason
    if (this.#pauses === 0) this.#socket.resume()
  }
}
