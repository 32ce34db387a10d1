import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createRelay } from '../../proxy/relay/relay.ts'
import { RawClient } from '../support/raw-client.ts'
import { starter, TOKEN } from './contract/world.ts'

const start = starter(createRelay)

/** An upstream that writes `answer` cut at a place the target names, and notes what it received. */
async function cuttingUpstream(t: TestContext, answer: string) {
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', async (bytes) => {
      const at = Number(/^GET \/(\d+)/.exec(bytes.toString('latin1'))?.[1] ?? 0)
      socket.write(Buffer.from(answer.slice(0, at), 'latin1'))
      await turn()
      await turn()
      socket.write(Buffer.from(answer.slice(at), 'latin1'))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

describe('cuts', () => {
  const answers = {
    'a length': `HTTP/1.1 200 OK\r\nContent-Length: 25\r\nContent-Type: text/plain\r\nConnection: X-Gone\r\nX-Gone: 1\r\nX-Echo: ${TOKEN}\r\n\r\nab${TOKEN}yz`,
    chunks: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n5\r\n${TOKEN.slice(0, 5)}\r\n12;x="y"\r\n${TOKEN.slice(5)}zz\r\n0\r\nX-Sum: ${TOKEN}\r\n\r\n`,
    'interim answers': `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
  }
  for (const [kind, answer] of Object.entries(answers)) {
    it(`an answer with ${kind} reaches the caller the same wherever it is cut, with the token masked`, async (t) => {
      const upstream = await cuttingUpstream(t, answer)
      const world = await start(t, { route: { upstream } })
      const client = await world.client()
      const expected = await client.call(world.message('GET', '/0'))
      for (let at = 1; at < answer.length; at++) {
        const got = await client.call(world.message('GET', `/${at}`))
        assert.deepEqual(
          { ...got, interim: got.interim.length },
          { ...expected, interim: expected.interim.length },
          `cut at ${at}`,
        )
      }
      const seen =
        JSON.stringify(expected.fields.lines) + expected.text + JSON.stringify(expected.trailers.lines)
      assert.equal(seen.includes(TOKEN.slice(0, 6)), false, seen)
      assert.equal(expected.fields.get('x-gone'), null)
    })
  }

  const calls = {
    'a length': 'Content-Length: 10\r\n\r\n0123456789',
    chunks: 'Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5;a=b\r\n56789\r\n0\r\nX-Trailer: gone\r\n\r\n',
  }
  for (const [kind, rest] of Object.entries(calls)) {
    it(`a call with ${kind} reaches the upstream the same wherever it is cut`, async (t) => {
      const world = await start(t)
      const client = await world.client()
      const call = `POST /p HTTP/1.1\r\nHost: ${world.host}\r\nX-A: b\r\n${rest}`
      for (let at = 1; at < call.length; at++) {
        client.write(call.slice(0, at))
        await turn()
        await turn()
        assert.equal((await client.call(call.slice(at))).status, 200)
        const request = world.upstream.requests.at(-1)
        assert.equal(String(await request?.body), '0123456789', `cut at ${at}`)
        assert.deepEqual((await request?.trailers)?.lines, [])
      }
      assert.equal(world.upstream.requests.length, call.length - 1)
      assert.equal(world.upstream.connections, 1)
    })
  }

  it('an HTTP/1.0 caller gets the data of chunks alone, masked wherever they are cut', async (t) => {
    const { chunks } = answers
    const upstream = await cuttingUpstream(t, chunks)
    const world = await start(t, { route: { upstream } })
    for (let at = 1; at < chunks.length; at += 3) {
      const client = await RawClient.connect({ port: world.port, host: '127.0.0.1' })
      client.write(`GET /${at} HTTP/1.0\r\nHost: ${world.host}\r\n\r\n`)
      const got = await client.answer()
      assert.deepEqual(
        [got.text, got.fields.get('transfer-encoding')],
        [`${'*'.repeat(TOKEN.length)}zz`, null],
      )
      client.destroy()
    }
  })
})
