import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { heldToken } from '../support/token-source.ts'
import { quiet, starter, TOKEN, TOKEN_HEADER } from './contract/world.ts'

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
