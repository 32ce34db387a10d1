const DAY_MS = 86_400_000

/** Requests of one secret in the current UTC day. The count starts anew at 00:00 UTC; it is not a rolling window. */
export class Quota {
  readonly perDay: number
  #day = 0
  #used = 0

  constructor(perDay: number) {
    this.perDay = perDay
  }

  /** Requests so far on the UTC day of `now` (epoch ms). */
  used(now: number): number {
    return utcDay(now) === this.#day ? this.#used : 0
  }

  exhausted(now: number): boolean {
    return this.used(now) >= this.perDay
  }

  use(now: number): void {
    this.#used = this.used(now) + 1
    this.#day = utcDay(now)
  }
}

function utcDay(now: number): number {
  return Math.floor(now / DAY_MS)
}
