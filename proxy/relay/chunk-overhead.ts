/** Chunk sizes, extensions and trailers may take this much, and this many bytes for each byte of data on top. */
const LIMIT_BYTES = 16_384
const FACTOR = 16

/** Bounds what a chunked body may carry besides data: llhttp reads extensions and trailers of any length. */
export class ChunkOverhead {
  #bytes = 0

  begin(): void {
    this.#bytes = 0
  }

  /** Counts `bytes` of which `dataBytes` were data. False: it is too much. */
  count(bytes: number, dataBytes: number): boolean {
    this.#bytes = Math.max(0, this.#bytes + bytes - dataBytes * (1 + FACTOR))
    return this.#bytes <= LIMIT_BYTES
  }
}
