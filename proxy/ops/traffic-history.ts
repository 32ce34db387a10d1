import type { Clock } from '../lib/clock.ts'
import type { ProblemCode } from '../lib/errors.ts'
import { DURATION_BOUNDS_S, type TrafficCounters } from '../relay/counters.ts'

/** The data plane's counters at one instant; what happened between two of them is their difference. */
export interface TrafficReading {
  /** Monotonic ms. */
  readonly at: number
  /** Answers of all routes. */
  readonly calls: number
  /** As `RouteCounters` has them, of all routes together. */
  readonly durationCounts: Float64Array
  /** Answers of 400 and above by status. */
  readonly failures: ReadonlyMap<number, number>
  /** Answers of the sidecar's own by code. */
  readonly problems: ReadonlyMap<ProblemCode, number>
}

/** Seconds between two readings that are kept. */
export const READING_EVERY_S = 5
/** Ten minutes: who comes because something went wrong sees how it began. */
export const READINGS_KEPT = 120

/**
 * Ten minutes of traffic, for whoever opens the status page. A reading every five seconds is a few microseconds and 300 bytes;
 * the data plane does not know of it.
 */
export class TrafficHistory {
  readonly #counters: TrafficCounters
  readonly #clock: Clock
  readonly #lastSeen = new Map<ProblemCode, number>()
  #kept: TrafficReading[] = []
  #seenProblems: ReadonlyMap<ProblemCode, number> = new Map()
  #ticks = 0

  constructor(counters: TrafficCounters, clock: Clock) {
    this.#counters = counters
    this.#clock = clock
    this.#kept = [this.#read()]
  }

  /** To be called each second. */
  tick(): void {
    this.#notice()
    this.#ticks = (this.#ticks + 1) % READING_EVERY_S
    if (this.#ticks > 0) return
    this.#kept.push(this.#read())
    // One more than there are differences.
    if (this.#kept.length > READINGS_KEPT + 1) this.#kept.shift()
  }

  /** Oldest first; the last one is of this moment. */
  readings(): readonly TrafficReading[] {
    return [...this.#kept, this.#read()]
  }

  /** When each problem was last answered, epoch ms, to the second. */
  lastSeen(): ReadonlyMap<ProblemCode, number> {
    this.#notice()
    return this.#lastSeen
  }

  #notice(): void {
    const { problems } = this.#counters
    for (const [code, count] of problems) {
      if (count !== this.#seenProblems.get(code)) this.#lastSeen.set(code, this.#clock.now())
    }
    this.#seenProblems = unlessSame(this.#seenProblems, problems)
  }

  #read(): TrafficReading {
    const durationCounts = new Float64Array(DURATION_BOUNDS_S.length + 1)
    const failures = new Map<number, number>()
    for (const route of this.#counters.routes.values()) {
      for (const [bucket, count] of route.durationCounts.entries())
        durationCounts[bucket] = (durationCounts[bucket] as number) + count
      for (const [answer, count] of route.answers) {
        const status = Number(answer.slice(answer.indexOf(' ') + 1))
        if (status >= 400) failures.set(status, (failures.get(status) ?? 0) + count)
      }
    }
    const last = this.#kept.at(-1)
    return {
      at: this.#clock.monotonic(),
      calls: durationCounts.reduce((sum, count) => sum + count, 0),
      durationCounts,
      failures: last === undefined ? failures : unlessSame(last.failures, failures),
      problems: unlessSame(last?.problems ?? new Map(), this.#counters.problems),
    }
  }
}

/** The old map when nothing has changed, so that quiet minutes cost nothing; otherwise a copy. */
function unlessSame<K>(old: ReadonlyMap<K, number>, present: ReadonlyMap<K, number>): ReadonlyMap<K, number> {
  let isSame = old.size === present.size
  for (const [key, count] of present) isSame &&= old.get(key) === count
  return isSame ? old : new Map(present)
}
