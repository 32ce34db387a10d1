import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { testTls } from '../../sandbox/tls-fixture.ts'
import { IncompleteMessage } from '../../support/byte-reader.ts'
import { RawUpstream } from '../../support/raw-upstream.ts'
import { heldToken, ScriptedTokens } from '../../support/token-source.ts'
import { assertProblem, eventually, plainRoute, type Suite, within } from './world.ts'

export function endingCases({ check, start }: Suite): void {
  check('A01', 'a caller that leaves before the answer ends the upstream call', async (t) => {
    const world = await start(t, { script: () => {} })
    const client = await world.client()
    client.write(world.message('POST', '/', [], 'body'))
    const request = await world.upstream.request(0)
    await request.body
    client.destroy()
    await within(2_000, 'the upstream connection to close', request.closed)
    await eventually(() =>
      assert.deepEqual([world.forwarder.counters.inFlight, world.tokens.token.inFlight], [0, 0]),
    )
  })

  check('A02', 'a caller that leaves during the answer ends the upstream transfer', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n'),
    })
    const client = await world.client()
    client.write(world.message('GET', '/'))
    await client.reader.until('piece')
    client.socket.resetAndDestroy()
    await within(2_000, 'the upstream connection to close', (await world.upstream.request(0)).closed)
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  for (const [id, fields, part] of [
    ['A03-length', 'Content-Length: 1000', 'x'.repeat(100)],
    ['A03-chunked', 'Transfer-Encoding: chunked', '5\r\npiece\r\n'],
  ] as const) {
    check(id, 'a caller that leaves during an upload never makes it look complete', async (t) => {
      const world = await start(t)
      const client = await world.client()
      client.write(world.message('POST', '/', [fields]) + part)
      const request = await world.upstream.request(0)
      client.destroy()
      await within(2_000, 'the upstream connection to close', request.closed)
      await assert.rejects(request.body, IncompleteMessage)
    })
  }

  const truncated: [id: string, title: string, bytes: string][] = [
    ['E11', 'a body with a length', 'Content-Length: 100\r\n\r\nonly a piece'],
    ['E12', 'a chunked body', 'Transfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n'],
    ['E12-chunk', 'a chunk', 'Transfer-Encoding: chunked\r\n\r\nff\r\npiece'],
  ]
  for (const [id, title, bytes] of truncated) {
    for (const how of ['FIN', 'reset'] as const) {
      check(`${id}-${how}`, `${title} cut short by a ${how} never looks whole to the caller`, async (t) => {
        const world = await start(t, {
          script: ({ socket }) => void socket.write(`HTTP/1.1 200 OK\r\n${bytes}`),
        })
        for (const version of ['1.1', '1.0']) {
          const client = await world.client()
          const errors: unknown[] = []
          client.socket.on('error', (error) => errors.push(error))
          client.write(`GET / HTTP/${version}\r\nHost: ${world.host}\r\n\r\n`)
          await client.reader.until('piece')
          const { socket } = await world.upstream.request(world.upstream.requests.length - 1)
          if (how === 'FIN') socket.end()
          else socket.resetAndDestroy()
          await within(2_000, 'the close', client.closed)
          const rest = String(await client.reader.toEnd())
          assert.doesNotMatch(rest, /0\r\n/)
          // Where the end of the connection would be the end of the body, only an error tells the two apart.
          if (version === '1.0' && id !== 'E11') assert.equal(errors.length, 1)
        }
      })
    }
  }

  check('E15', 'a dead upstream is answered 502 at once, and is back as soon as it is', async (t) => {
    const world = await start(t)
    const { port } = world.upstream
    await world.upstream.close()
    assertProblem(await within(3_000, 'GET', world.call('GET', '/')), 'upstream_unreachable')
    assertProblem(await within(3_000, 'POST', world.call('POST', '/', [], 'x')), 'upstream_unreachable')
    await world.upstream.listen(port)
    assert.equal((await world.call('GET', '/')).status, 200)
    assert.equal(world.forwarder.counters.problems.get('upstream_unreachable'), 2)
    await eventually(() => assert.equal(world.tokens.token.inFlight, 0))
  })

  check(
    'no-connect',
    'an upstream that takes no connection is given up after the connect timeout',
    async (t) => {
      // A full backlog leaves a connection attempt unanswered, which no address on loopback does by itself.
      const sockets: Socket[] = []
      const server = createServer({ pauseOnConnect: true }, (socket) => void sockets.push(socket))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const world = await start(t, {
        // TLS to a listener that never answers: connected, but never usable.
        route: { upstream: new URL(`https://127.0.0.1:${(server.address() as { port: number }).port}`) },
        options: { upstreamConnectTimeoutMs: 100 },
      })
      assertProblem(await within(3_000, 'the answer', world.call('GET', '/')), 'upstream_unreachable')
    },
  )

  check('not-http', 'an upstream that does not speak HTTP is a protocol error', async (t) => {
    const world = await start(t)
    for (const bytes of [
      'SSH-2.0-OpenSSH_9.6\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`,
    ]) {
      world.upstream.script = ({ socket }) => void socket.write(bytes)
      assertProblem(
        await within(3_000, bytes.slice(0, 60), world.call('POST', '/', [], 'x')),
        'upstream_protocol_error',
      )
    }
  })

  check('hang-up', 'an upstream that hangs up without an answer is answered 502', async (t) => {
    const world = await start(t, { script: ({ socket }) => void socket.end() })
    assert.equal((await within(3_000, 'the answer', world.call('POST', '/', [], 'x'))).status, 502)
  })

  check('silence', 'silence before an answer is a timeout', async (t) => {
    const world = await start(t, { script: () => {}, options: { upstreamTimeoutMs: 150 } })
    assertProblem(await within(3_000, 'the answer', world.call('POST', '/', [], 'x')), 'upstream_timeout')
    await within(2_000, 'the upstream connection to close', (await world.upstream.request(0)).closed)
  })

  check('silence-later', 'silence in the middle of an answer cuts it', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n'),
      options: { upstreamTimeoutMs: 150 },
    })
    await assert.rejects(within(3_000, 'the cut', world.call('GET', '/')), IncompleteMessage)
  })

  check('no-silence', 'an answer that goes on slowly is not cut', async (t) => {
    const world = await start(t, {
      script: async ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
        for (const byte of 'slow!') {
          await new Promise((resolve) => setTimeout(resolve, 120))
          socket.write(byte)
        }
      },
      options: { upstreamTimeoutMs: 300 },
    })
    assert.equal((await world.call('GET', '/')).text, 'slow!')
  })

  check(
    'tls',
    'an upstream over TLS is reached when its certificate is trusted, and only then',
    async (t) => {
      const server = createTlsServer(testTls, (_, response) => response.end('secure')).listen(0, 'localhost')
      await once(server, 'listening')
      t.after(() => server.close())
      const route = { upstream: new URL(`https://localhost:${(server.address() as { port: number }).port}`) }
      const none = { ca: undefined, cert: undefined, key: undefined }
      const world = await start(t, { route, options: { upstreamTls: { ...none, ca: testTls.cert } } })
      assert.equal((await world.call('GET', '/')).text, 'secure')
      assert.equal((await world.call('GET', '/')).text, 'secure')
      const distrusting = await start(t, { route, options: { upstreamTls: none } })
      assertProblem(await distrusting.call('GET', '/'), 'upstream_unreachable')
    },
  )

  check('no-name', 'an upstream whose name does not resolve is unreachable', async (t) => {
    const other = await new RawUpstream().listen()
    t.after(() => other.close())
    const route = plainRoute(other, new ScriptedTokens(heldToken('tok-unused')), {
      upstream: new URL('http://name.invalid'),
    })
    const world = await start(t, { options: { routes: [route] } })
    assertProblem(await within(5_000, 'the answer', world.call('GET', '/')), 'upstream_unreachable')
  })
}
