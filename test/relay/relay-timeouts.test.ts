import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { answer } from '../support/raw-upstream.ts'
import { assertProblem, eventually, quiet, type Settings, starter } from './contract/world.ts'

/** A world whose time stands still until the test moves it. */
async function start(t: TestContext, settings: Settings = {}) {
  const clock = new FakeClock()
  const world = await starter((options, { log }) => createRelay(options, { clock, log }))(t, settings)
  return { world, clock }
}

describe('time', () => {
  it('a head that drips in too slowly is answered 408, and nothing behind it counts', async (t) => {
    const { world, clock } = await start(t)
    const client = await world.client()
    client.write('GET / HTTP/1.1\r\nHost: ')
    await quiet()
    await clock.advance(14_000)
    client.write('x')
    await quiet()
    await clock.advance(3000)
    assertProblem(await client.answer(), 'request_timeout')
    client.write(world.message('GET', '/late'))
    await clock.advance(3000)
    await client.closed
    assert.equal(world.upstream.requests.length, 0)
  })

  it('a connection on which nothing ever comes is closed', async (t) => {
    const { world, clock } = await start(t)
    const client = await world.client()
    await quiet()
    await clock.advance(16_500)
    await client.closed
    assert.equal((await client.reader.toEnd()).length, 0)
    assert.equal(clock.pending, 0)
  })

  it('a connection may wait 75 seconds between calls, and no longer', async (t) => {
    const { world, clock } = await start(t)
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/'))).status, 200)
    await clock.advance(74_000)
    assert.equal((await client.call(world.message('GET', '/'))).status, 200)
    await clock.advance(76_000)
    await client.closed
  })

  it('empty lines behind a call begin no other: nothing is said to who sends them', async (t) => {
    const { world, clock } = await start(t)
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/'))).status, 200)
    client.write('\r')
    await quiet()
    client.write('\n\r\n')
    await quiet()
    await clock.advance(40_000)
    assert.equal((await client.call(world.message('GET', '/'))).status, 200)
  })

  it('an upstream that says nothing is answered 504 after the time allowed, and its connection is gone', async (t) => {
    const { world, clock } = await start(t, { script: () => {}, options: { upstreamTimeoutMs: 10_000 } })
    const client = await world.client()
    client.write(world.message('GET', '/'))
    const request = await world.upstream.request(0)
    await clock.advance(9000)
    assert.equal(world.forwarder.counters.inFlight, 1)
    await clock.advance(2500)
    assertProblem(await client.answer(), 'upstream_timeout')
    await request.closed
    assert.equal(world.tokens.token.inFlight, 0)
    assert.equal((await client.call(world.message('GET', '/..'))).status, 400)
  })

  it('an upstream is waited for as long on a connection that has waited in the pool', async (t) => {
    const { world, clock } = await start(t, {
      script: (request) => (request.target === '/slow' ? undefined : answer(request, 200)),
      options: { upstreamTimeoutMs: 60_000 },
    })
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/'))).status, 200)
    client.write(world.message('POST', '/slow', [], 'x'))
    const request = await world.upstream.request(1)
    assert.equal(request.connection, 1)
    await clock.advance(45_000)
    answer(request, 200, [], 'at last')
    assert.equal((await client.answer()).text, 'at last')
  })

  it('silence is counted from the last byte, and in the middle of an answer it cuts it off', async (t) => {
    const { world, clock } = await start(t, {
      script: ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123'),
      options: { upstreamTimeoutMs: 10_000 },
    })
    const client = await world.client()
    client.write(world.message('GET', '/'))
    await client.reader.until('123')
    await clock.advance(8000)
    const { socket } = await world.upstream.request(0)
    socket.write('456')
    await client.reader.until('456')
    await clock.advance(8000)
    assert.equal(world.forwarder.counters.inFlight, 1)
    await clock.advance(5000)
    await client.closed
    assert.equal((await client.reader.toEnd()).length, 0)
  })

  it('a caller that stops in the middle of its upload is answered 408', async (t) => {
    const { world, clock } = await start(t, { options: { upstreamTimeoutMs: 10_000 } })
    const client = await world.client()
    client.write(world.message('POST', '/', ['Content-Length: 10']))
    client.write('12345')
    const request = await world.upstream.request(0)
    await quiet()
    await clock.advance(50_000)
    assert.equal(world.forwarder.counters.inFlight, 1)
    await clock.advance(12_000)
    assertProblem(await client.answer(), 'request_timeout')
    await request.closed
    assert.equal(request.complete, false)
  })

  it('a caller that has closed its side gets an answer that comes soon, and none is waited for long', async (t) => {
    const { world, clock } = await start(t, { script: () => {} })
    const [soon, late] = [await world.client(), await world.client()]
    soon.socket.allowHalfOpen = true
    late.socket.allowHalfOpen = true
    soon.write(world.message('GET', '/soon'))
    const first = await world.upstream.request(0)
    soon.socket.end()
    await quiet()
    answer(first, 200, [], 'just in time')
    assert.equal((await soon.answer()).text, 'just in time')

    late.write(world.message('GET', '/late'))
    const second = await world.upstream.request(1)
    late.socket.end()
    await quiet()
    await clock.advance(2500)
    await second.closed
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  it('nothing is left behind: without connections no timer runs', async (t) => {
    const { world, clock } = await start(t)
    const client = await world.client()
    await client.call(world.message('GET', '/'))
    client.destroy()
    await eventually(() => assert.equal(world.forwarder.counters.upstreamIdle, 1))
    await quiet()
    await clock.advance(16_000)
    await eventually(() => assert.equal(clock.pending, 0))
  })
})
