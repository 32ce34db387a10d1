const STAR = 0x2a
const NOTHING = Buffer.alloc(0)

/**
 * Replaces the token by as many `*` in a body that passes in its own framing. The token may be split over chunks with a chunk
 * size between its halves, so the search runs over the data alone and what is held back is held with the framing in it.
 */
export class AnswerMask {
  readonly #token: Buffer
  #held: Buffer = NOTHING
  /** Spans of data in what is held. */
  #heldSpans: number[] = []

  constructor(token: Buffer) {
    this.#token = token
  }

  /**
   * What may go on of `bytes[from..to)`, masked in place; `spans` (start and end in turn, offsets into `bytes`) are the data.
   * Held back is only what follows the beginning of an unfinished token, and nothing once the body `isLast`.
   */
  write(bytes: Buffer, from: number, to: number, spans: readonly number[], isLast: boolean): Buffer {
    if (this.#held.length === 0 && spans.length === 2) {
      return this.#writeOne(bytes, from, to, spans[0] as number, spans[1] as number, isLast)
    }
    const raw =
      this.#held.length === 0
        ? bytes.subarray(from, to)
        : Buffer.concat([this.#held, bytes.subarray(from, to)])
    const shift = this.#held.length - from
    const all = [...this.#heldSpans, ...spans.map((at) => at + shift)]
    return this.#writeMany(raw, all, isLast)
  }

  /** What was held back, when the body has ended. */
  flush(): Buffer {
    const rest = this.#held
    this.#hold(NOTHING, 0, [])
    return rest
  }

  /** Nearly every answer: one span of data, searched where it lies. */
  #writeOne(bytes: Buffer, from: number, to: number, start: number, end: number, isLast: boolean): Buffer {
    const data = bytes.subarray(start, end)
    const tail = this.#search(data)
    if (isLast || tail === data.length) return bytes.subarray(from, to)
    const raw = bytes.subarray(from, to)
    const cut = start + tail - from
    this.#hold(raw, cut, [start - from, end - from])
    return raw.subarray(0, cut)
  }

  #writeMany(raw: Buffer, spans: readonly number[], isLast: boolean): Buffer {
    const parts: Buffer[] = []
    for (let at = 0; at < spans.length; at += 2) parts.push(raw.subarray(spans[at], spans[at + 1]))
    const data = Buffer.concat(parts)
    const tail = this.#search(data)
    let cut = raw.length
    let offset = 0
    for (const [index, part] of parts.entries()) {
      data.copy(part, 0, offset, offset + part.length)
      if (!isLast && cut === raw.length && tail < offset + part.length) {
        cut = (spans[2 * index] as number) + tail - offset
      }
      offset += part.length
    }
    this.#hold(raw, cut, spans)
    return raw.subarray(0, cut)
  }

  /** Masks in place. Returns where the longest end starts that the token begins with; the length when there is none. */
  #search(data: Buffer): number {
    const token = this.#token
    let searched = 0
    for (let at = data.indexOf(token); at !== -1; at = data.indexOf(token, searched)) {
      searched = at + token.length
      data.fill(STAR, at, searched)
    }
    const first = token[0] as number
    const from = Math.max(searched, data.length - token.length + 1)
    for (let at = data.indexOf(first, from); at !== -1; at = data.indexOf(first, at + 1)) {
      if (data.compare(token, 0, data.length - at, at) === 0) return at
    }
    return data.length
  }

  /** Holds `raw` from `cut` on, copied since the memory is reused. */
  #hold(raw: Buffer, cut: number, spans: readonly number[]): void {
    this.#held = cut === raw.length ? NOTHING : Buffer.from(raw.subarray(cut))
    const heldSpans: number[] = []
    if (this.#held.length > 0) {
      for (let at = 0; at < spans.length; at += 2) {
        const end = (spans[at + 1] as number) - cut
        if (end > 0) heldSpans.push(Math.max(0, (spans[at] as number) - cut), end)
      }
    }
    this.#heldSpans = heldSpans
  }
}
