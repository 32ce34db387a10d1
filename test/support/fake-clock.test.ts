import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from './fake-clock.ts'

test('timers run in order of time, at their own instant, and ties in the order they were set', async () => {
  const clock = new FakeClock()
  const ran: string[] = []
  const note = (name: string) => () => ran.push(`${name}@${clock.monotonic()}`)
  clock.after(20, note('b'))
  clock.after(10, note('a'))
  clock.after(20, note('c'))
  clock.after(21, note('late'))
  clock.after(15, note('cancelled'))()
  await clock.advance(20)
  assert.deepEqual(ran, ['a@10', 'b@20', 'c@20'])
  assert.equal(clock.pending, 1)
})

test('a loop of sleeps goes on within one advance', async () => {
  const clock = new FakeClock()
  let turns = 0
  const loop = async () => {
    for (; turns < 5; turns++) await clock.sleep(100)
  }
  const done = loop()
  await clock.advance(500)
  await done
  assert.equal(turns, 5)
  assert.equal(clock.monotonic(), 500)
})

test('the wall clock jumps alone, and moves with the monotonic clock otherwise', async () => {
  const clock = new FakeClock('2026-11-22T23:59:59Z')
  clock.jumpWall(-3_600_000)
  await clock.advance(1_000)
  assert.equal(new Date(clock.now()).toISOString(), '2026-11-22T23:00:00.000Z')
  assert.equal(clock.monotonic(), 1_000)
})

test('a sleep ends with the reason of its signal and leaves no timer', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const slept = assert.rejects(clock.sleep(1_000, controller.signal), { message: 'gone' })
  controller.abort(new Error('gone'))
  await slept
  assert.equal(clock.pending, 0)
})

test('timers that fell due while the machine was suspended run late, once, at its end', async () => {
  const clock = new FakeClock()
  const ran: number[] = []
  clock.after(1_000, () => ran.push(clock.monotonic()))
  await clock.suspend(60_000)
  assert.deepEqual(ran, [60_000])
})
