import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { createRelay } from '../../proxy/relay/relay.ts'
import { testCertificate } from '../support/certificates.ts'
import { heldToken } from '../support/token-source.ts'
import { assertProblem, quiet, starter, TOKEN, TOKEN_HEADER, within } from './contract/world.ts'

const start = starter(createRelay)

describe('an upstream behind TLS', () => {
  const { key, cert } = testCertificate('localhost')

  async function upstream(t: { after(run: () => void): void }) {
    const server = createServer({ key, cert }, (request, response) => {
      if (request.headers[TOKEN_HEADER] !== 'tok-second') {
        // More than one TLS record, so that some of it comes while the relay has stopped reading.
        response.writeHead(401).end('x'.repeat(100_000))
        request.resume()
        return
      }
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      request.pipe(response)
    })
    server.listen(0)
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return new URL(`https://localhost:${(server.address() as AddressInfo).port}`)
  }

  it('gets large bodies whole and gives them back whole, after a rejection too', async (t) => {
    const world = await start(t, {
      route: { upstream: await upstream(t) },
      options: {
        upstreamTls: { ca: cert, cert: undefined, key: undefined },
        replayBodyLimitBytes: 4 * 2 ** 20,
        replayMemoryLimitBytes: 4 * 2 ** 20,
      },
      tokens: { replace: async ({ generation }) => (generation === 1 ? heldToken('tok-second', 2) : null) },
    })
    const body = Buffer.alloc(3 * 2 ** 20, 'abcdefghijklmnopqrstuvwxyz').toString('latin1')
    for (let count = 0; count < 2; count++) {
      world.tokens.token = heldToken(TOKEN)
      const got = await world.call('POST', '/', [], body)
      assert.equal(got.status, 200)
      assert.ok(got.text === body)
    }
    assert.deepEqual(world.forwarder.counters.replays, { accepted: 2, rejected: 0, failed: 0 })
  })

  it('lets a long rejection through whole when there is no other token', async (t) => {
    const world = await start(t, {
      route: { upstream: await upstream(t) },
      options: { upstreamTls: { ca: cert, cert: undefined, key: undefined } },
    })
    const client = await world.client()
    for (let count = 0; count < 3; count++) {
      const got = await client.call(world.message('GET', '/'))
      assert.deepEqual([got.status, got.text.length], [401, 100_000])
    }
    assert.equal(world.tokens.rejections.length, 3)
    assert.equal(world.tokens.rejections[0]?.rejected.value.reveal(), TOKEN)
  })

  it('gets no further call on a connection that it ended with a rejection', async (t) => {
    const server = createServer({ key, cert }, (request, response) => {
      request.resume()
      const isFirst = request.headers['x-call'] === '1'
      response.writeHead(isFirst ? 401 : 200, { 'content-length': 2, connection: 'keep-alive' }).end('ok')
      if (isFirst) request.socket.end()
    })
    server.listen(0)
    await once(server, 'listening')
    t.after(() => void server.close())
    const world = await start(t, {
      route: { upstream: new URL(`https://localhost:${(server.address() as AddressInfo).port}`) },
      options: { upstreamTls: { ca: cert, cert: undefined, key: undefined } },
      tokens: { replace: () => quiet(50).then(() => null) },
    })
    const client = await world.client()
    for (const [call, status] of [
      ['1', 401],
      ['2', 200],
      ['1', 401],
      ['2', 200],
    ] as const) {
      const answering = client.call(world.message('POST', '/', [`X-Call: ${call}`], 'body'))
      assert.equal((await within(5_000, 'an answer', answering)).status, status)
    }
  })

  it('is not spoken to when its certificate is not trusted', async (t) => {
    const world = await start(t, { route: { upstream: await upstream(t) } })
    assertProblem(await world.call('GET', '/'), 'upstream_unreachable')
    assert.equal(world.tokens.token.inFlight, 0)
  })

  it('that ends a rejection with its connection is passed on to the end when there is no other token', async (t) => {
    const server = createTlsServer({ key, cert }, (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nbad token'))
    })
    server.listen(0)
    await once(server, 'listening')
    t.after(() => server.close())
    const world = await start(t, {
      route: { upstream: new URL(`https://localhost:${(server.address() as AddressInfo).port}`) },
      options: { upstreamTls: { ca: cert, cert: undefined, key: undefined } },
      tokens: { replace: () => quiet(30).then(() => null) },
    })
    for (let call = 0; call < 5; call++) {
      const got = await world.call('GET', '/')
      assert.deepEqual([got.status, got.text], [401, 'bad token'])
    }
  })
})
