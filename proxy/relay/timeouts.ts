import type { Cancel, Clock } from '../lib/clock.ts'

/** A connection with deadlines. */
export interface Timed {
  /** Called on each tick; `now` is monotonic ms. */
  checkTime(now: number): void
}

/** A caller has this long to send a head, from its first byte (or from connecting) to its last. */
export const HEAD_TIMEOUT_MS = 15_000
/** How long a connection may stay open between calls. */
export const IDLE_TIMEOUT_MS = 75_000
/** Silence of a caller that owes a body, or does not read its answer. */
export const CALLER_SILENCE_MS = 60_000
/** How long what a caller still sends is read and thrown away after a final answer, so that a reset does not eat the answer. */
export const LINGER_MS = 2000
/** A caller that has closed its sending side gets an answer that comes within this; it has probably left. */
export const HALF_CLOSED_MS = 1000

const LONGEST_TICK_MS = 500
const SHORTEST_TICK_MS = 5

/**
 * One coarse tick for the deadlines of all connections, instead of a timer for each call. It runs only while there are
 * connections, which keep the process alive anyway.
 */
export class Ticker {
  readonly #clock: Clock
  readonly tickMs: number
  readonly #members = new Set<Timed>()
  #cancel: Cancel | null = null
  /** Monotonic ms of the latest tick: exact enough to notice silence, and free to read. */
  now: number

  /** `shortestMs`: the shortest of the timeouts to be watched, which is kept to within a quarter of itself. */
  constructor(clock: Clock, shortestMs: number) {
    this.#clock = clock
    this.tickMs = Math.max(SHORTEST_TICK_MS, Math.min(LONGEST_TICK_MS, Math.floor(shortestMs / 4)))
    this.now = clock.monotonic()
  }

  /** Monotonic ms of this moment, where the latest tick is not exact enough. */
  exactNow(): number {
    return this.#clock.monotonic()
  }

  add(member: Timed): void {
    this.#members.add(member)
    if (this.#cancel === null) {
      this.now = this.#clock.monotonic()
      this.#arm()
    }
  }

  remove(member: Timed): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    this.#cancel?.()
    this.#cancel = null
  }

  #arm(): void {
    this.#cancel = this.#clock.after(this.tickMs, () => {
      this.now = this.#clock.monotonic()
      for (const member of this.#members) member.checkTime(this.now)
      if (this.#members.size > 0) this.#arm()
      else this.#cancel = null
    })
  }
}
