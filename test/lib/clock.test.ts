import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../../proxy/lib/clock.ts'

test('the system clock tells the time of day, and a time that only goes on', async () => {
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 1_000)
  const before = systemClock.monotonic()
  await systemClock.sleep(2)
  assert.ok(systemClock.monotonic() > before)
})

test('a timer that is too long for Node to keep does not fire at once, and can be cancelled', async () => {
  let ran = false
  const cancel = systemClock.after(2 ** 40, () => {
    ran = true
  })
  await systemClock.sleep(5)
  assert.equal(ran, false)
  cancel()
})

test('a timer that is too long for Node to keep fires in the end', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let ran = false
  systemClock.after(2 ** 32, () => {
    ran = true
  })
  t.mock.timers.tick(2 ** 31)
  assert.equal(ran, false)
  for (let count = 0; count < 2; count++) t.mock.timers.tick(2 ** 31)
  assert.equal(ran, true)
})

test('a cancelled timer does not run; cancelling twice is harmless', async () => {
  let ran = false
  const cancel = systemClock.after(1, () => {
    ran = true
  })
  cancel()
  cancel()
  await systemClock.sleep(5)
  assert.equal(ran, false)
})

test('a sleep ends with the reason of its signal, at once, and leaves no listener', async () => {
  const caller = new AbortController()
  const slept = systemClock.sleep(60_000, caller.signal)
  caller.abort(new Error('gone'))
  await assert.rejects(slept, { message: 'gone' })
  await assert.rejects(systemClock.sleep(60_000, caller.signal), { message: 'gone' })
  const other = new AbortController()
  await systemClock.sleep(1, other.signal)
  assert.equal(getEventListeners(other.signal, 'abort').length, 0)
})

test('what arrived while the process stood still is dealt with before a timer that fell due meanwhile', async (test) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [peer] = (await once(server, 'connection')) as [Socket]
  test.after(() => {
    client.destroy()
    server.close()
  })
  const happened: string[] = []
  client.on('data', () => happened.push('answer'))
  const deadline = new Promise<void>((resolve) => {
    systemClock.after(20, () => {
      happened.push('deadline')
      resolve()
    })
  })
  const cancelled = systemClock.after(20, () => happened.push('cancelled'))
  client.once('data', cancelled)
  peer.write('answer')
  const until = performance.now() + 100
  while (performance.now() < until);
  await deadline
  assert.deepEqual(happened, ['answer', 'deadline'])
})
