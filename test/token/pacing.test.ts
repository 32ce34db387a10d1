import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  backoffMs,
  budgetPauseMs,
  growing,
  requestsToday,
  retryPauseMs,
  untilMidnightMs,
  utcDay,
} from '../../proxy/token/pacing.ts'
import { HOUR, MINUTE, NOON, SECOND, TODAY } from './machine-driver.ts'

const MIDNIGHT = Date.parse('2026-11-23T00:00:00Z')

test('a day is a UTC day', () => {
  assert.equal(utcDay(MIDNIGHT - 1), '2026-11-22')
  assert.equal(utcDay(MIDNIGHT), '2026-11-23')
})

test('the quota is reset at 00:00 UTC, and never in no time', () => {
  assert.equal(untilMidnightMs(NOON), 12 * HOUR)
  assert.equal(untilMidnightMs(MIDNIGHT - 1), 1)
  assert.equal(untilMidnightMs(MIDNIGHT), 24 * HOUR)
  assert.equal(untilMidnightMs(-1), 1)
})

const counts: [title: string, day: string, today: number][] = [
  ['the requests of this day count', '2026-11-22', 7],
  ['the requests of yesterday do not', '2026-11-21', 0],
  ['nor those of a store that has counted none', '', 0],
  ['those of tomorrow do: a replica whose clock is ahead counts for the fleet', '2026-11-23', 7],
  ['a day further ahead comes from a clock that is wrong', '2026-11-24', 0],
]

for (const [title, day, today] of counts) {
  test(title, () => assert.equal(requestsToday({ day, count: 7 }, NOON), today))
}

const pauses: [title: string, used: number, now: number, pauseMs: number][] = [
  ['nothing used: no pause', 0, NOON, 0],
  ['more than a quarter left: no pause', 179, NOON, 0],
  ['a quarter left: the rest is spread over the rest of the day', 180, NOON, (12 * HOUR) / 61],
  ['the fewer are left, the longer the pause', 239, NOON, 6 * HOUR],
  ['late in the day the same rest needs shorter pauses', 239, MIDNIGHT - HOUR, HOUR / 2],
  ['nothing left: no request at all', 240, NOON, Number.POSITIVE_INFINITY],
  ['people have used more than the budget: no request at all', 260, NOON, Number.POSITIVE_INFINITY],
]

for (const [title, used, now, pauseMs] of pauses) {
  test(`budget: ${title}`, () => assert.equal(budgetPauseMs({ day: TODAY, count: used }, 240, now), pauseMs))
}

test('a budget that is spent as its pauses allow lasts until midnight', () => {
  let now = NOON
  let count = 0
  while (now < MIDNIGHT) {
    count++
    now += Math.max(SECOND, budgetPauseMs({ day: TODAY, count }, 240, now))
  }
  assert.ok(count <= 240, `${count} requests`)
  assert.ok(count > 230, `${count} requests`)
})

const growths: [times: number, ms: number][] = [
  [0, SECOND],
  [1, SECOND],
  [2, 2 * SECOND],
  [6, 32 * SECOND],
  [7, MINUTE],
  [10_000, MINUTE],
]

for (const [times, ms] of growths) {
  test(`a pause that grows from a second to a minute is ${ms / SECOND} s the time numbered ${times}`, () => {
    assert.equal(growing(times, SECOND, MINUTE), ms)
  })
}

test('back-off has full jitter: anything from nothing to its ceiling', () => {
  assert.equal(backoffMs(3, SECOND, MINUTE, 0), 0)
  assert.equal(backoffMs(3, SECOND, MINUTE, 0.5), 2 * SECOND)
  assert.ok(backoffMs(3, SECOND, MINUTE, 0.999) < 4 * SECOND)
})

test('the first failures are retried while the calls that wait still have patience, the later ones ever more rarely', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((failures) => retryPauseMs(failures, 10_000, 1))
  assert.deepEqual(longest, [1_000, 2_000, 2_500, 2_500, 2_500, 32_000, 60_000, 60_000, 60_000])
})
