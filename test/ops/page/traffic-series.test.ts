import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { intervals, latest, percentile } from '../../../proxy/ops/page/traffic-series.ts'
import type { TrafficReading } from '../../../proxy/ops/traffic-history.ts'
import { DURATION_BOUNDS_S, RouteCounters } from '../../../proxy/relay/counters.ts'
import { fc } from '../../support/fast-check.ts'

function reading(atS: number, calls: number, failed = 0): TrafficReading {
  const durationCounts = new Float64Array(DURATION_BOUNDS_S.length + 1)
  durationCounts[0] = calls
  const failures = new Map(failed > 0 ? [[404, failed]] : [])
  return { at: atS * 1_000, calls, durationCounts, failures, problems: new Map() }
}

describe('series of the traffic', () => {
  it('are the differences of neighbouring readings', () => {
    const [first, second] = intervals([reading(0, 10), reading(5, 30), reading(10, 30, 2)])
    assert.equal(first?.calls, 20)
    assert.equal(first?.seconds, 5)
    assert.equal(first?.failed, 0)
    assert.equal(second?.calls, 0)
    assert.equal(second?.p50, null)
    assert.deepEqual([...(second?.failures ?? [])], [[404, 2]])
  })

  it('look back as far as asked, or as there is something', () => {
    const readings = [reading(0, 0), reading(30, 30), reading(60, 90), reading(65, 100)]
    assert.equal(latest(readings, 10).calls, 70)
    assert.equal(latest(readings, 5).calls, 10)
    assert.equal(latest(readings, 600).calls, 100)
    assert.equal(latest(readings, 600).seconds, 65)
  })
})

describe('percentile of a histogram', () => {
  it('lies on a straight line within its bucket', () => {
    const counts = new Float64Array(DURATION_BOUNDS_S.length + 1)
    counts[3] = 100
    assert.equal(percentile(counts, 0.5), 0.0075)
    counts[15] = 100
    assert.equal(percentile(counts, 0.99), 120)
  })

  it('of nothing is nothing', () => {
    assert.equal(percentile(new Float64Array(16), 0.5), null)
  })

  it('is never off by more than the bucket of the true value, and grows with the share', () => {
    const durations = fc.array(fc.double({ min: 0.0001, max: 119, noNaN: true }), { minLength: 1 })
    fc.assert(
      fc.property(durations, (seconds) => {
        const counters = new RouteCounters()
        for (const duration of seconds) counters.answered('GET', 200, duration)
        const sorted = [...seconds].sort((a, b) => a - b)
        const bucketOf = (value: number) => DURATION_BOUNDS_S.findIndex((bound) => value <= bound)
        let last = 0
        for (const share of [0.5, 0.95, 0.99]) {
          const told = percentile(counters.durationCounts, share) ?? -1
          const actual = sorted[Math.ceil(share * sorted.length) - 1] ?? 0
          assert.equal(bucketOf(told), bucketOf(actual))
          assert.ok(told >= last)
          last = told
        }
      }),
    )
  })
})
