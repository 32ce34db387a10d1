import { DURATION_BOUNDS_S } from '../../relay/counters.ts'
import type { TrafficReading } from '../traffic-history.ts'

/** What happened between two readings. */
export interface TrafficInterval {
  readonly seconds: number
  readonly calls: number
  /** Answers of 400 and above. */
  readonly failed: number
  /** Latency percentiles, seconds; null without calls. */
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
  /** By status, 400 and above. */
  readonly failures: ReadonlyMap<number, number>
  readonly problems: ReadonlyMap<string, number>
}

/** What lies between readings that are kept is computed once, not for each second that somebody watches. */
const computed = new WeakMap<TrafficReading, { begin: TrafficReading; interval: TrafficInterval }>()

/** The differences of neighbours; one less than readings. */
export function intervals(readings: readonly TrafficReading[]): TrafficInterval[] {
  return readings.slice(1).map((end, index) => {
    const begin = readings[index] ?? end
    const known = computed.get(end)
    if (known?.begin === begin) return known.interval
    const interval = between(begin, end)
    computed.set(end, { begin, interval })
    return interval
  })
}

/** What happened in the last `seconds`, or since the first reading when that is less. */
export function latest(readings: readonly TrafficReading[], seconds: number): TrafficInterval {
  const end = readings.at(-1)
  if (end === undefined) throw new RangeError('no reading')
  const begin = readings.findLast(({ at }) => at <= end.at - seconds * 1_000) ?? readings[0] ?? end
  return between(begin, end)
}

export function between(begin: TrafficReading, end: TrafficReading): TrafficInterval {
  const counts = end.durationCounts.map((count, bucket) => count - (begin.durationCounts[bucket] ?? 0))
  const failures = increases(begin.failures, end.failures)
  return {
    seconds: (end.at - begin.at) / 1_000,
    calls: end.calls - begin.calls,
    failed: [...failures.values()].reduce((sum, count) => sum + count, 0),
    p50: percentile(counts, 0.5),
    p95: percentile(counts, 0.95),
    p99: percentile(counts, 0.99),
    failures,
    problems: increases(begin.problems, end.problems),
  }
}

/**
 * The latency that a share of the calls did not exceed, in seconds: by straight lines within buckets, as Prometheus does. In
 * the last bucket its lower bound; null without calls.
 */
export function percentile(counts: ArrayLike<number>, share: number): number | null {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0)
  if (total <= 0) return null
  let below = 0
  for (const [bucket, boundS] of DURATION_BOUNDS_S.entries()) {
    const count = counts[bucket] ?? 0
    if (count > 0 && below + count >= share * total) {
      const lowerS = DURATION_BOUNDS_S[bucket - 1] ?? 0
      return lowerS + (boundS - lowerS) * ((share * total - below) / count)
    }
    below += count
  }
  return DURATION_BOUNDS_S.at(-1) ?? null
}

function increases<K>(begin: ReadonlyMap<K, number>, end: ReadonlyMap<K, number>): ReadonlyMap<K, number> {
  if (begin === end) return new Map()
  const grown = [...end].map(([key, count]) => [key, count - (begin.get(key) ?? 0)] as const)
  return new Map(grown.filter(([, count]) => count > 0))
}
