const EMPTY: Buffer = Buffer.alloc(0)

/** Least room that is made for a head in pieces. */
const LEAST_BYTES = 512

/** A head that arrives in more than one read, put together. */
export class HeadPieces {
  #bytes: Buffer = EMPTY
  /** How many bytes there are so far. */
  length = 0

  /** The bytes so far, in memory that may be longer. */
  get bytes(): Buffer {
    return this.#bytes
  }

  add(bytes: Buffer, from: number, to: number): void {
    const wanted = this.length + to - from
    if (wanted > this.#bytes.length) {
      // Doubling keeps a head that drips in byte by byte from being copied as often.
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#bytes.length, LEAST_BYTES))
      this.#bytes.copy(larger, 0, 0, this.length)
      this.#bytes = larger
    }
    bytes.copy(this.#bytes, this.length, from, to)
    this.length = wanted
  }

  clear(): void {
    this.#bytes = EMPTY
    this.length = 0
  }
}
