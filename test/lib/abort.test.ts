import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { abortable, deadline } from '../../proxy/lib/abort.ts'
import { FakeClock } from '../support/fake-clock.ts'

test('a deadline aborts after its time, with a TimeoutError', async () => {
  const clock = new FakeClock()
  const { signal } = deadline(clock, 100)
  await clock.advance(99)
  assert.ok(!signal.aborted)
  await clock.advance(1)
  assert.equal((signal.reason as Error).name, 'TimeoutError')
  assert.equal(clock.pending, 0)
})

test('a deadline that is cleared never aborts and leaves neither timer nor listener', async () => {
  const clock = new FakeClock()
  const parent = new AbortController()
  const { signal, clear } = deadline(clock, 100, parent.signal)
  clear()
  clear()
  parent.abort()
  await clock.advance(1_000)
  assert.ok(!signal.aborted)
  assert.equal(clock.pending, 0)
  assert.equal(getEventListeners(parent.signal, 'abort').length, 0)
})

for (const when of ['before', 'afterwards'] as const) {
  test(`a parent that aborted ${when} passes its reason on and leaves no timer`, () => {
    const clock = new FakeClock()
    const parent = new AbortController()
    const reason = new Error('gone')
    if (when === 'before') parent.abort(reason)
    const { signal } = deadline(clock, 100, parent.signal)
    if (when === 'afterwards') parent.abort(reason)
    assert.equal(signal.reason, reason)
    assert.equal(clock.pending, 0)
  })
}

test('work that ends in time gives its result, and nothing listens to the signal any more', async () => {
  const { signal } = new AbortController()
  assert.equal(await abortable(Promise.resolve(7), signal), 7)
  await assert.rejects(abortable(Promise.reject(new Error('broken')), signal), { message: 'broken' })
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('work whose signal aborts first is left behind, and its late failure is nobody’s', async () => {
  const caller = new AbortController()
  let fail: (error: Error) => void = () => {}
  const work = new Promise<never>((_, reject) => {
    fail = reject
  })
  const result = abortable(work, caller.signal)
  caller.abort(new Error('gone'))
  await assert.rejects(result, { message: 'gone' })
  fail(new Error('broken'))
  await assert.rejects(abortable(new Promise(() => {}), caller.signal), { message: 'gone' })
})
