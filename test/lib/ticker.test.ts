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

test('an expression that is none is refused', () => {
  assert.throws(() => cronTicker.at('every now and then', () => {}))
})
