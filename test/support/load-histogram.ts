/** Each bound is a tenth above the last: a quantile is told to within 10 %, in a few hundred numbers however many values come. */
const GROWTH = 1.1
const FIRST_MS = 0.1
const BUCKETS = 200

/** Distribution of latencies in bounded memory. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #longestMs = 0

  get total(): number {
    return this.#total
  }

  get longestMs(): number {
    return this.#longestMs
  }

  add(latencyMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(latencyMs, FIRST_MS) / FIRST_MS) / Math.log(GROWTH))
    const index = Math.min(BUCKETS - 1, bucket)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#total++
    this.#longestMs = Math.max(this.#longestMs, latencyMs)
  }

  /** Upper bound of the bucket in which the quantile lies, ms; 0 when nothing was added. */
  quantileMs(share: number): number {
    let left = share * this.#total
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count
      if (count > 0 && left <= 0) return Math.min(FIRST_MS * GROWTH ** bucket, this.#longestMs)
    }
    return 0
  }
}
