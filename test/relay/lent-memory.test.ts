import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { lend, returnOf } from '../../proxy/relay/lent-memory.ts'
import { createRelay } from '../../proxy/relay/relay.ts'
import { starter } from './contract/world.ts'

const start = starter(createRelay)
const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('lent memory', () => {
  it('is lent again once it was given back, and not before', () => {
    const first = lend(70_000)
    const second = lend(70_000)
    assert.notEqual(second.buffer, first.buffer)
    returnOf(first)?.()
    const third = lend(10_000)
    assert.equal(third.buffer, first.buffer)
    assert.equal(third.length, 10_000)
    assert.notEqual(lend(10_000).buffer, second.buffer)
  })

  it('is not kept when it is larger than a read can be, and what was not lent need not be given back', () => {
    assert.equal(lend(1_000_000).length, 1_000_000)
    assert.equal(returnOf(lend(1_000_000)), undefined)
    assert.equal(returnOf(Buffer.alloc(10)), undefined)
  })

  it('is never written over while a caller that reads slowly has not got what is in it', async (t) => {
    // More than the system holds for a connection, so that a write waits for its reader.
    const bodies = Array.from({ length: 4 }, () => randomBytes(12 * 2 ** 20))
    const world = await start(t, {
      script: async ({ socket, target }) => {
        const body = bodies[Number(target.slice(1))] as Buffer
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
        socket.write(body)
      },
    })
    const clients = await Promise.all(bodies.map(() => world.client()))
    const answers = clients.map((client, index) => {
      client.write(world.message('GET', `/${index}`))
      // Reads nothing until the quick ones have all they want.
      if (index % 2 === 1) client.socket.pause()
      return client.answer()
    })
    await Promise.all(answers.filter((_, index) => index % 2 === 0))
    for (const { socket } of clients) socket.resume()
    const got = await Promise.all(answers)
    assert.deepEqual(
      got.map(({ body }) => sum(body)),
      bodies.map(sum),
    )
  })
})
