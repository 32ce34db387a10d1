import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { IncompleteMessage } from '../support/byte-reader.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { RawClient } from '../support/raw-client.ts'
import { answer } from '../support/raw-upstream.ts'
import { countReceived } from '../support/received-bytes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { eventually, quiet, type Settings, starter, within } from './contract/world.ts'

/** A world whose time stands still until the test moves it. */
async function start(t: TestContext, settings: Settings = {}) {
  const clock = new FakeClock()
  const world = await starter((options, { log }) => createRelay(options, { clock, log }))(t, settings)
  return { world, clock }
}

/** How the connection ended: in order, or by a reset. */
function endOf({ socket }: RawClient): Promise<'in order' | 'by a reset'> {
  return new Promise((resolve) => {
    socket.once('end', () => resolve('in order')).once('error', () => resolve('by a reset'))
  })
}

const UNTIL_CLOSE = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart of this'
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'
const HTTP10 = (host: string) => `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`

describe('the last bytes of an answer', () => {
  it('reach a caller that is slow to read them, although nothing more is expected of it', async (t) => {
    const path = join(tempDir(), 'relay.sock')
    let sizeBytes = 0
    const clock = new FakeClock()
    // Over a socket file the system takes about 200 KB: at some of these sizes the end has to wait in the relay.
    const create: Parameters<typeof starter>[0] = (options, { log }) => {
      const relay = createRelay({ ...options, listen: { kind: 'unix', path } }, { clock, log })
      return { ...relay, listen: () => relay.listen().then(() => 'http://localhost:1') }
    }
    await starter(create)(t, {
      script: ({ socket }) =>
        void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${sizeBytes}\r\n\r\n${'x'.repeat(sizeBytes)}`),
    })
    for (sizeBytes = 120_000; sizeBytes < 320_000; sizeBytes += 25_000) {
      const socket = connect(path).pause()
      t.after(() => socket.destroy())
      await once(socket, 'connect')
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      await quiet(30)
      await clock.advance(10_000)
      const received = countReceived(socket)
      await once(socket, 'close')
      assert.ok(received() > sizeBytes, `${received()} of ${sizeBytes} bytes`)
    }
  })

  it('are seen to be missing when the upstream resets an answer that ends with its connection', async (t) => {
    const part = 'x'.repeat(200_000)
    const { world } = await start(t, {
      script: ({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${part}`, () => socket.resetAndDestroy())
      },
    })
    for (let call = 0; call < 20; call++) {
      const client = await world.client()
      await assert.rejects(client.call(world.message('GET', '/')), IncompleteMessage, `call ${call}`)
    }
  })

  it('are seen to be missing when the time for draining is up, also where an answer ends with the connection', async (t) => {
    const { world } = await start(t, { script: ({ socket }) => void socket.write(UNTIL_CLOSE) })
    const client = await world.client()
    client.write(HTTP10(world.host))
    await client.reader.until('part of this')
    const ended = endOf(client)
    await world.forwarder.drain(AbortSignal.abort())
    assert.equal(await ended, 'by a reset')
  })

  it('are seen to be missing when a half-closed caller has waited in vain', async (t) => {
    const { world, clock } = await start(t, { script: ({ socket }) => void socket.write(UNTIL_CLOSE) })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.write(HTTP10(world.host))
    await client.reader.until('part of this')
    client.socket.end()
    await quiet()
    const ended = endOf(client)
    await clock.advance(3_000)
    assert.equal(await ended, 'by a reset')
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  it('are not waited for when a half-closed caller has sent half a call ahead', async (t) => {
    const { world } = await start(t, {
      script: (request) => void (request.target === '/1' && answer(request, 200)),
    })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.socket.end(
      `${world.message('GET', '/1')}${world.message('POST', '/2', ['Content-Length: 10'])}half`,
    )
    await client.answer()
    await within(2_000, 'the end of the connection', client.closed)
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  it('nor for longer than others when it has sent a whole one ahead', async (t) => {
    const { world, clock } = await start(t, {
      script: (request) => void (request.target === '/1' && answer(request, 200)),
    })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.socket.end(world.message('GET', '/1') + world.message('GET', '/2'))
    await client.answer()
    await world.upstream.request(1)
    await clock.advance(3_000)
    await within(2_000, 'the end of the connection', client.closed)
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  it('are waited for by a half-closed caller as long as the answer moves', async (t) => {
    const { world, clock } = await start(t, {
      script: ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n0'),
    })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.write(world.message('GET', '/'))
    const { socket } = await world.upstream.request(0)
    await client.reader.until('\r\n\r\n0')
    client.socket.end()
    for (const digit of '12345') {
      await clock.advance(800)
      socket.write(digit)
      await client.reader.until(digit)
    }
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })
})

describe('the last bytes of a tunnel', () => {
  it('are passed on after the upstream has said its last, and its end is not the caller’s', async (t) => {
    const { world } = await start(t, { script: ({ socket }) => void socket.write(SWITCHING) })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.write(world.message('GET', '/', UPGRADE))
    assert.equal((await client.head()).status, 101)
    const { socket, reader } = await world.upstream.request(0)
    const heard = once(client.socket, 'end')
    socket.end()
    await heard
    client.socket.end('last words')
    assert.equal(String(await reader.take(10)), 'last words')
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })
})

describe('interim answers without end', () => {
  it('wait for a caller that does not read, instead of being kept for it', async (t) => {
    const limitBytes = 48 * 1024 * 1024
    const interims = Buffer.from(
      `HTTP/1.1 103 Early Hints\r\nLink: </${'x'.repeat(8_000)}>\r\n\r\n`.repeat(10),
    )
    let written = 0
    const { world, clock } = await start(t, {
      script: async ({ socket }) => {
        while (written < limitBytes) {
          written += interims.length
          if (!socket.write(interims)) await once(socket, 'drain')
        }
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      },
    })
    const client = await world.client()
    client.socket.pause()
    client.write(world.message('GET', '/'))
    let before = -1
    while (before < written) {
      before = written
      await quiet(200)
    }
    assert.ok(written < limitBytes, 'everything was read ahead')
    await clock.advance(2_000)
    let tail = ''
    client.socket.removeAllListeners('data').on('data', (bytes: Buffer) => {
      tail = (tail + bytes.toString('latin1')).slice(-100)
    })
    client.socket.resume()
    await eventually(() => assert.match(tail, /Content-Length: 2\r\n\r\nok$/), 10_000)
  })
})

describe('the last bytes of a tunnel', () => {
  it('reach an upstream that has closed its side and takes its time to read', async (t) => {
    const { world, clock } = await start(t, { script: ({ socket }) => void socket.write(SWITCHING) })
    const client = await world.client()
    client.socket.allowHalfOpen = true
    client.write(world.message('GET', '/', UPGRADE))
    assert.equal((await client.head()).status, 101)
    const { socket } = await world.upstream.request(0)
    socket.removeAllListeners('data').pause()
    socket.end()
    await quiet(20)
    const sent = Buffer.alloc(16 * 2 ** 20, 'x')
    client.write(sent)
    client.socket.end()
    await quiet(100)
    await clock.advance(5_000)
    const received = countReceived(socket)
    await eventually(() => assert.equal(received(), sent.length))
  })
})
