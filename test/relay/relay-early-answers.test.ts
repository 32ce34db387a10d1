import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { heldToken } from '../support/token-source.ts'
import { quiet, starter, TOKEN, TOKEN_HEADER, within } from './contract/world.ts'

const start = starter(createRelay)

const BODY = Buffer.alloc(3 * 2 ** 20, 'x').toString('latin1')
/** Each of them was lost nearly always, but not always. */
const CALLS = 10

describe('an answer that comes before the body was read, from an upstream that then closes', () => {
  it('reaches the caller, although what is left of the body meets a reset', async (t) => {
    const world = await start(t, {
      script: async ({ socket }) => {
        socket.pause()
        socket.write('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig')
        await quiet(1)
        socket.destroy()
      },
    })
    for (let call = 0; call < CALLS; call++) {
      const got = await world.call('POST', '/', [], BODY)
      assert.deepEqual([got.status, got.text], [413, 'big'], `call ${call}`)
    }
    assert.equal(world.forwarder.counters.upstreamIdle, 0)
  })

  it('has the call sent again when it is a rejection of the token', async (t) => {
    const world = await start(t, {
      script: async ({ fields, socket, body }) => {
        if (fields.get(TOKEN_HEADER) !== TOKEN) {
          const { length } = await body
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${String(length).length}\r\n\r\n${length}`)
          return
        }
        socket.pause()
        socket.write('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
        await quiet(1)
        socket.destroy()
      },
      options: { replayBodyLimitBytes: 2 * BODY.length, replayMemoryLimitBytes: 4 * BODY.length },
      tokens: { replace: async () => heldToken('tok-second', 2) },
    })
    for (let call = 0; call < CALLS; call++) {
      world.tokens.token = heldToken(TOKEN)
      const got = await world.call('POST', '/', [], BODY)
      assert.deepEqual([got.status, got.text], [200, String(BODY.length)], `call ${call}`)
    }
  })
})

describe('an answer that is broken off by a reset while its request is still being sent', () => {
  it('does not look complete', async (t) => {
    const world = await start(t, {
      script: async ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\npart of this')
        await quiet(10)
        socket.resetAndDestroy()
      },
    })
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await world.client()
        client.socket.on('error', () => {})
        client.write(world.message('PUT', '/', ['Content-Length: 500000000']))
        const piece = Buffer.alloc(30_000)
        for (let count = 0; count < 30; count++) {
          if (client.socket.writable) client.write(piece)
          await quiet(1)
        }
        const outcome = await client.answer().then(
          ({ text }) => `complete: ${text}`,
          () => 'broken off',
        )
        client.destroy()
        return outcome
      }),
    )
    assert.deepEqual(new Set(outcomes), new Set(['broken off']))
  })
})

describe('a tunnel whose upstream has ended and gone', () => {
  it('ends at the next words of a caller that never stops talking', async (t) => {
    const world = await start(t, {
      script: async ({ socket }) => {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
        )
        await quiet(50)
        socket.end('bye')
        socket.destroySoon()
      },
    })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.socket.on('error', () => {})
    client.write(
      world.message('GET', '/', [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ]),
    )
    assert.equal((await client.head()).status, 101)
    assert.equal(String(await client.reader.toEnd()), 'bye')
    const talk = setInterval(() => client.socket.writable && client.write('ping'), 50)
    t.after(() => clearInterval(talk))
    await within(5_000, 'the end of the tunnel', client.closed)
    assert.equal(world.forwarder.counters.inFlight, 0)
  })
})
