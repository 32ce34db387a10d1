import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cronTicker } from '../../proxy/lib/ticker.ts'

/** The ticker's timers do not keep the process alive; this one does. */
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('the tick comes second after second, until it is cancelled', async () => {
  let beats = 0
  const cancel = cronTicker.everySecond(() => beats++)
  while (beats < 2) await pause(20)
  cancel()
  await pause(1_100)
  assert.equal(beats, 2)
})

test('the tick goes on, and a planned time is kept, when the clock is set back by an hour', async (test) => {
  test.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 22, 12) })
  let beats = 0
  let planned = 0
  const cancels = [cronTicker.everySecond(() => beats++), cronTicker.at('1 0 11 * * *', () => planned++)]
  test.after(() => {
    for (const cancel of cancels) cancel()
  })
  test.mock.timers.setTime(Date.UTC(2026, 10, 22, 11))
  while (beats < 2) await pause(20)
  // The stand-in clock moves by hand only: a second later by it, the planned time has come.
  test.mock.timers.setTime(Date.UTC(2026, 10, 22, 11, 0, 1))
  while (planned < 1) await pause(20)
})

test('an expression that is none is refused', () => {
  assert.throws(() => cronTicker.at('every now and then', () => {}))
})
