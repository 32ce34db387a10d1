import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { Secret } from '../../proxy/lib/secret.ts'
import type { TlsFiles } from '../../proxy/lib/tls.ts'
import { TrafficCounters } from '../../proxy/relay/counters.ts'
import { Ticker } from '../../proxy/relay/timeouts.ts'
import type { UpstreamConnection, UpstreamUser } from '../../proxy/relay/upstream-connection.ts'
import { UpstreamPool } from '../../proxy/relay/upstream-pool.ts'
import { testCertificate } from '../support/certificates.ts'
import { FakeClock } from '../support/fake-clock.ts'

const NO_TLS: TlsFiles = { ca: undefined, cert: undefined, key: undefined }

/** A user that resolves when its connection is there, and rejects when it is lost. */
function waiting(): UpstreamUser & { connected: Promise<void>; received: string[] } {
  let resolve: () => void = () => {}
  let reject: (cause: unknown) => void = () => {}
  const connected = new Promise<void>((fulfil, fail) => {
    resolve = fulfil
    reject = fail
  })
  connected.catch(() => {})
  const received: string[] = []
  return {
    connected,
    received,
    onConnected: () => resolve(),
    onUpstreamBytes: (bytes, length) => received.push(bytes.toString('latin1', 0, length)),
    onUpstreamEnd() {},
    onUpstreamDrain() {},
    onUpstreamClosed: (cause) => reject(cause ?? new Error('closed')),
  }
}

async function world(t: TestContext, server: Server, protocol = 'http', tls = NO_TLS) {
  const sockets = new Set<Socket>()
  const onSocket = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.resume()
  }
  server.on(protocol === 'https' ? 'secureConnection' : 'connection', onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const clock = new FakeClock()
  const counters = new TrafficCounters([])
  const ticker = new Ticker(clock, 1000)
  const origin = new URL(`${protocol}://localhost:${(server.address() as AddressInfo).port}`)
  const pool = new UpstreamPool(origin, { connectTimeoutMs: 1000, tls }, ticker, counters)
  t.after(() => {
    pool.destroy()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const open = async (): Promise<UpstreamConnection> => {
    const user = waiting()
    const connection = pool.open(user)
    await user.connected
    return connection
  }
  return { pool, clock, counters, sockets, open }
}

describe('the pool of upstream connections', () => {
  it('gives a call that must not be sent twice only what the upstream has no reason to close yet', async (t) => {
    const { pool, clock, open } = await world(t, createServer())
    const first = await open()
    pool.release(first, 5)
    // The upstream keeps it for 5 s; it is given up after 4.
    await clock.advance(1_500)
    assert.equal(pool.takeIdle(waiting(), false), first)
    pool.release(first, 5)
    await clock.advance(2_500)
    assert.equal(pool.takeIdle(waiting(), false), null)
    assert.equal(pool.takeIdle(waiting(), true), first)
  })

  it('hands out the connection used last, and counts what is used and what waits', async (t) => {
    const { pool, counters, open } = await world(t, createServer())
    const [first, second] = [await open(), await open()]
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [2, 0])
    pool.release(first, -1)
    pool.release(second, -1)
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [0, 2])
    assert.equal(pool.takeIdle(waiting(), true), second)
    assert.equal(pool.takeIdle(waiting(), true), first)
    assert.equal(pool.takeIdle(waiting(), true), null)
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [2, 0])
  })

  it('closes what waits too long, sooner when the upstream says so', async (t) => {
    const { pool, clock, counters, open } = await world(t, createServer())
    const [hinted, plain] = [await open(), await open()]
    pool.release(hinted, 5)
    pool.release(plain, -1)
    await clock.advance(3500)
    assert.equal(counters.upstreamIdle, 2)
    await clock.advance(1000)
    assert.equal(counters.upstreamIdle, 1)
    await clock.advance(12_000)
    assert.equal(counters.upstreamIdle, 0)
    assert.equal(clock.pending, 0)
  })

  it('keeps a connection whose small request is not reported sent yet, and none whose body still waits', async (t) => {
    // Over TLS a write is reported done after its answer may have come: one connection in fourteen was thrown away for it.
    const { pool, counters, open } = await world(t, createServer())
    const [answered, early] = [await open(), await open()]
    answered.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    pool.release(answered, -1)
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [1, 1])
    early.write(Buffer.alloc(8 * 2 ** 20))
    pool.release(early, -1)
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [0, 1])
  })

  it('does not keep what the upstream will close at once', async (t) => {
    const { pool, counters, open } = await world(t, createServer())
    pool.release(await open(), 1)
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [0, 0])
  })

  it('drops a waiting connection that the upstream closes or writes to', async (t) => {
    const { pool, counters, sockets, open } = await world(t, createServer())
    const [closing, talking] = [await open(), await open()]
    pool.release(closing, -1)
    pool.release(talking, -1)
    const [one, other] = [...sockets]
    const closed = Promise.all([...sockets].map((socket) => once(socket, 'close')))
    one?.end()
    other?.write('HTTP/1.1 408 Too late\r\n\r\n')
    await closed
    assert.deepEqual(
      [pool.takeIdle(waiting(), true), counters.upstreamIdle, counters.upstreamActive],
      [null, 0, 0],
    )
  })

  it('gives up connecting after the time allowed, TLS handshake included', async (t) => {
    // A server that accepts and says nothing.
    const { pool, clock, counters } = await world(t, createServer(), 'https')
    const user = waiting()
    pool.open(user)
    await clock.advance(900)
    assert.equal(counters.upstreamActive, 1)
    await clock.advance(600)
    await assert.rejects(user.connected)
    assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [0, 0])
  })
})

describe('TLS to the upstream', () => {
  const server = testCertificate('localhost')
  const client = testCertificate('client')

  it('verifies, names the server, speaks HTTP/1.1 and resumes sessions', async (t) => {
    const listening = createTlsServer({ ...server, ALPNProtocols: ['h2', 'http/1.1'] })
    const seen: { servername: unknown; alpn: unknown; reused: boolean }[] = []
    listening.on('secureConnection', (socket: TLSSocket) => {
      const { servername } = socket as unknown as { servername: unknown }
      seen.push({ servername, alpn: socket.alpnProtocol, reused: socket.isSessionReused() })
      socket.write('hello')
    })
    const { pool } = await world(t, listening, 'https', { ...NO_TLS, ca: server.cert })
    for (let count = 0; count < 2; count++) {
      const user = waiting()
      const connection = pool.open(user)
      await user.connected
      // The ticket comes with the first data.
      while (user.received.length === 0) await new Promise((resolve) => setImmediate(resolve))
      connection.destroy()
    }
    assert.deepEqual(seen, [
      { servername: 'localhost', alpn: 'http/1.1', reused: false },
      { servername: 'localhost', alpn: 'http/1.1', reused: true },
    ])
  })

  it('refuses a certificate nobody vouches for, even when the environment would not', async (t) => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    t.after(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
    const { pool } = await world(t, createTlsServer(server), 'https')
    const user = waiting()
    pool.open(user)
    await assert.rejects(user.connected, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })

  it('refuses a certificate for another name', async (t) => {
    const { pool } = await world(t, createTlsServer(client), 'https', { ...NO_TLS, ca: client.cert })
    const user = waiting()
    pool.open(user)
    await assert.rejects(user.connected, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })

  it('shows its own certificate when it has one', async (t) => {
    const listening = createTlsServer({ ...server, ca: client.cert, requestCert: true })
    const asked = once(listening, 'secureConnection')
    const tls = { ca: server.cert, cert: client.cert, key: new Secret(client.key) }
    const { open } = await world(t, listening, 'https', tls)
    await open()
    const [socket] = (await asked) as [TLSSocket]
    assert.equal(socket.authorized, true)
  })
})
