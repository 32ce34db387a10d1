import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { answer } from '../support/raw-upstream.ts'
import { heldToken } from '../support/token-source.ts'
import { eventually, quiet, starter, TOKEN, TOKEN_HEADER } from './contract/world.ts'

const start = starter(createRelay)

/** A caller, and an upstream connection that waits in the pool after its call. */
async function warm(t: TestContext) {
  const world = await start(t)
  const client = await world.client()
  assert.equal((await client.call(world.message('GET', '/warm'))).status, 200)
  await eventually(() => assert.equal(world.forwarder.counters.upstreamIdle, 1))
  const [socket] = world.upstream.sockets
  assert.ok(socket)
  return { world, client, socket }
}

describe('a replay beside the end of the connection its rejection came on', () => {
  it('goes on another one', async (t) => {
    const world = await start(t, {
      script: async (request) => {
        await request.body
        const isOld = request.fields.get(TOKEN_HEADER) === TOKEN
        answer(request, isOld ? 401 : 200, [], isOld ? 'rejected' : 'accepted')
        if (isOld) request.socket.end()
      },
      tokens: { replace: async () => heldToken('tok-second', 2) },
    })
    for (const method of ['GET', 'POST']) {
      for (let call = 0; call < 20; call++) {
        world.tokens.token = heldToken(TOKEN)
        const got = await world.call(method, '/', [], method === 'POST' ? 'body' : '')
        assert.deepEqual([got.status, got.text], [200, 'accepted'], `${method}, call ${call}`)
      }
    }
    assert.deepEqual(world.forwarder.counters.replays, { accepted: 40, rejected: 0, failed: 0 })
  })
})

// Caller and upstream are in this process, so what they do before they give up control is read by the relay in one turn of
// the event loop, the call first.
describe('a POST beside the close of the pooled connection it would have taken', () => {
  for (const { age, restMs } of [
    { age: 'just used', restMs: 0 },
    { age: 'idle for a while', restMs: 30 },
  ]) {
    it(`goes on another one, once, when that was ${age}`, async (t) => {
      const { world, client, socket } = await warm(t)
      if (restMs > 0) await quiet(restMs)
      client.write(world.message('POST', '/', [], 'body'))
      socket.destroy()
      const got = await client.answer('POST')
      assert.deepEqual([got.status, got.text], [200, 'ok'])
      const sendings = world.upstream.requests.filter(({ method }) => method === 'POST')
      assert.equal(sendings.length, 1)
      assert.equal(String(await sendings[0]?.body), 'body')
      const { counters } = world.forwarder
      assert.deepEqual([counters.upstreamActive, counters.upstreamIdle, counters.inFlight], [0, 1, 0])
    })
  }

  it('is given up with its caller while it looks at the connection', async (t) => {
    const { world, client } = await warm(t)
    await quiet(30)
    client.write(world.message('POST', '/', [], 'body'))
    client.destroy()
    const { counters } = world.forwarder
    await eventually(() => assert.equal(counters.inFlight, 0))
    assert.equal((await world.call('POST', '/next', [], 'x')).status, 200)
    assert.deepEqual([counters.upstreamActive, counters.inFlight], [0, 0])
  })
})

describe('what a pooled connection says before a call was written to it', () => {
  const stray = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray'
  const timeout = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
  for (const [what, words] of [
    ['an answer to nothing', stray],
    ['the end of its patience', timeout],
  ] as const) {
    it(`is taken for no call's answer: ${what}`, async (t) => {
      const { world, client, socket } = await warm(t)
      world.upstream.script = (request) => answer(request, 200, [], `answer to ${request.target}`)
      const other = await world.client()
      await eventually(() => assert.equal(world.forwarder.counters.callers, 2))
      // All of it is read in one turn, in this order.
      client.write(world.message('GET', '/a'))
      socket.write(words)
      other.write(world.message('GET', '/b'))
      assert.equal((await client.answer()).text, 'answer to /a')
      assert.equal((await other.answer()).text, 'answer to /b')
    })
  }
})

describe('a connection that waited in the pool before its first call', () => {
  it('may be stale like any other: the call goes on another one', async (t) => {
    const clock = new FakeClock()
    let peeks = 0
    const world = await starter((options, { log }) => createRelay(options, { clock, log }))(t, {
      script: (request) => {
        if (request.connection === 1) request.socket.resetAndDestroy()
        else answer(request, 200, [], 'ok')
      },
      tokens: {
        // Connecting takes longer than a token is good for unasked, and then there is none.
        peek: () => {
          if (++peeks === 1) queueMicrotask(() => void clock.advance(200))
          return peeks === 2 ? null : heldToken(TOKEN)
        },
        current: async () => {
          await eventually(() => assert.equal(world.forwarder.counters.upstreamIdle, 1))
          return heldToken(TOKEN)
        },
      },
    })
    const got = await world.call('GET', '/')
    assert.deepEqual([got.status, got.text], [200, 'ok'])
    assert.deepEqual(
      world.upstream.requests.map(({ connection }) => connection),
      [1, 2],
    )
  })
})
