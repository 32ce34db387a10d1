import type { Piece } from './piece.ts'

/** Memory that all kept bodies share. */
export class ReplayMemory {
  readonly #limitBytes: number
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Whether `bytes` more could be had; they are then taken. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false
    this.#usedBytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes
  }
}

/** What has been received of one request body, kept so that the call can be sent again. */
export class ReplayBuffer {
  readonly #memory: ReplayMemory
  readonly #limitBytes: number
  /** What is kept, in order. */
  pieces: Piece[] = []
  #bytes = 0
  #dataBytes = 0
  #keeps = false

  constructor(memory: ReplayMemory, limitBytes: number) {
    this.#memory = memory
    this.#limitBytes = limitBytes
  }

  /** All of the body received so far is here. */
  get keeps(): boolean {
    return this.#keeps
  }

  /** Begins with a body of `contentLength` bytes, -1 when that is not known. A body known to be too large is not kept at all. */
  begin(contentLength: number): void {
    this.#keeps = contentLength <= this.#limitBytes && this.#limitBytes > 0
  }

  /**
   * Keeps one more piece, of which `dataBytes` are the body's own and not chunk framing: the limit is on the body, the shared
   * memory on all of it. False: it does not fit, and the body has to be surrendered.
   */
  keep(piece: Piece, dataBytes: number): boolean {
    if (this.#dataBytes + dataBytes > this.#limitBytes || !this.#memory.take(piece.length)) return false
    this.#dataBytes += dataBytes
    this.#bytes += piece.length
    this.pieces.push(piece)
    return true
  }

  /** Keeps nothing any more; what was kept is handed over to whoever has not sent it yet. */
  surrender(): Piece[] {
    const { pieces } = this
    this.clear()
    return pieces
  }

  /** Gives the memory back; nothing more is kept. */
  clear(): void {
    this.#keeps = false
    if (this.#bytes > 0) this.#memory.giveBack(this.#bytes)
    this.#bytes = 0
    this.#dataBytes = 0
    if (this.pieces.length > 0) this.pieces = []
  }
}
