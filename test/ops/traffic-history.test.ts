import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { READING_EVERY_S, READINGS_KEPT, TrafficHistory } from '../../proxy/ops/traffic-history.ts'
import { TrafficCounters } from '../../proxy/relay/counters.ts'
import { FakeClock } from '../support/fake-clock.ts'

function watched() {
  const clock = new FakeClock()
  const counters = new TrafficCounters(['one', 'two'])
  const history = new TrafficHistory(counters, clock)
  const seconds = async (count: number) => {
    for (let second = 0; second < count; second++) {
      await clock.advance(1_000)
      history.tick()
    }
  }
  return { clock, counters, history, seconds }
}

describe('history of the traffic', () => {
  it('takes a reading every five seconds, and always has one of this moment', async () => {
    const { counters, history, seconds } = watched()
    assert.equal(history.readings().length, 2)
    await seconds(2 * READING_EVERY_S)
    counters.routes.get('one')?.answered('GET', 200, 0.002)
    const readings = history.readings()
    assert.deepEqual(
      readings.map(({ at, calls }) => [at, calls]),
      [
        [0, 0],
        [5_000, 0],
        [10_000, 0],
        [10_000, 1],
      ],
    )
  })

  it('keeps ten minutes, whatever the time it runs', async () => {
    const { history, seconds } = watched()
    await seconds(20 * 60)
    const readings = history.readings()
    assert.equal(readings.length, READINGS_KEPT + 2)
    assert.equal((readings.at(-1)?.at ?? 0) - (readings[0]?.at ?? 0), 10 * 60_000)
  })

  it('adds up the routes, and failures by status whatever the method', () => {
    const { counters, history } = watched()
    counters.routes.get('one')?.answered('GET', 200, 0.002)
    counters.routes.get('one')?.answered('GET', 404, 0.002)
    counters.routes.get('two')?.answered('POST', 404, 3)
    counters.routes.get('two')?.answered('POST', 503, 3)
    counters.problem('token_unavailable')
    const present = history.readings().at(-1)
    assert.equal(present?.calls, 4)
    assert.deepEqual(
      [...(present?.failures ?? [])],
      [
        [404, 2],
        [503, 1],
      ],
    )
    assert.deepEqual([...(present?.problems ?? [])], [['token_unavailable', 1]])
    assert.equal(present?.durationCounts[1], 2)
  })

  it('shares what has not changed, so that quiet minutes take no memory, and copies what has', async () => {
    const { counters, history, seconds } = watched()
    counters.problem('upstream_timeout')
    await seconds(2 * READING_EVERY_S)
    const [, first, second] = history.readings()
    assert.equal(first?.problems, second?.problems)
    assert.equal(first?.failures, second?.failures)
    counters.problem('upstream_timeout')
    assert.equal(history.readings().at(-1)?.problems.get('upstream_timeout'), 2)
    assert.equal(second?.problems.get('upstream_timeout'), 1)
  })

  it('remembers to the second when a problem was last answered', async () => {
    const { clock, counters, history, seconds } = watched()
    assert.deepEqual([...history.lastSeen()], [])
    counters.problem('upstream_timeout')
    await seconds(1)
    const at = clock.now()
    await seconds(30)
    assert.deepEqual([...history.lastSeen()], [['upstream_timeout', at]])
    counters.problem('upstream_timeout')
    assert.deepEqual([...history.lastSeen()], [['upstream_timeout', clock.now()]])
  })
})
