import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { RawClient } from '../support/raw-client.ts'
import { answer } from '../support/raw-upstream.ts'
import { countReceived } from '../support/received-bytes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { eventually, quiet, type Settings, starter, type World, within } from './contract/world.ts'

/** Places for three, in a time that stands still until the test moves it. */
async function start(t: TestContext, settings: Settings = {}) {
  const clock = new FakeClock()
  const options = { maxConnections: 3, ...settings.options }
  const create: Parameters<typeof starter>[0] = (all, { log }) => createRelay(all, { clock, log })
  return { clock, world: await starter(create)(t, { ...settings, options }) }
}

/** A caller that does not mind if it is turned away; by then it stands in the line. */
async function refusable(world: World): Promise<RawClient> {
  const client = await world.client()
  client.socket.on('error', () => {})
  await quiet(5)
  return client
}

const isOpen = ({ socket }: RawClient) => !socket.closed && !socket.readableEnded

describe('when all places are taken', () => {
  it('a new caller gets that of the one that waited longest, first of those that never made a call', async (t) => {
    const { clock, world } = await start(t)
    const get = world.message('GET', '/')
    const kept = await world.client()
    await kept.call(get)
    const dribbling = await world.client()
    dribbling.write('GET / HT')
    await quiet()
    await clock.advance(1_000)
    const silent = await world.client()
    await quiet()
    await clock.advance(2_000)

    const first = await world.client()
    assert.equal((await first.call(get)).status, 200)
    await within(2_000, 'the one that dribbles to go', dribbling.closed)
    assert.deepEqual([isOpen(kept), isOpen(silent)], [true, true])

    const second = await world.client()
    assert.equal((await second.call(get)).status, 200)
    await within(2_000, 'the silent one to go', silent.closed)

    const third = await world.client()
    assert.equal((await third.call(get)).status, 200)
    await within(2_000, 'the one that waited longest to go', kept.closed)
    assert.deepEqual([isOpen(first), isOpen(second), isOpen(third)], [true, true, true])
  })

  it('calls under way keep theirs, and new callers get one in turn as calls end and their callers leave', async (t) => {
    const { world } = await start(t, { script: () => {} })
    const busy = [await world.client(), await world.client(), await world.client()]
    busy[0]?.write(world.message('GET', '/0'))
    busy[1]?.write(`${world.message('POST', '/1', ['Content-Length: 10'])}half`)
    busy[2]?.write(world.message('GET', '/2'))
    const requests = []
    for (const at of [0, 1, 2]) requests.push(await world.upstream.request(at))
    const newcomers = []
    for (const path of ['/3', '/4']) {
      const newcomer = await world.client()
      newcomer.write(world.message('GET', path))
      newcomers.push(newcomer)
      await quiet()
    }
    assert.equal(world.upstream.requests.length, 3)
    busy[1]?.write('number')
    for (const request of requests) answer(request, 200, [], 'done')
    for (const client of busy) assert.equal((await client.answer()).text, 'done')
    for (const [index, newcomer] of newcomers.entries()) {
      busy[index]?.socket.destroy()
      const request = await world.upstream.request(3 + index)
      assert.equal(request.target, `/${3 + index}`)
      answer(request, 200, [], 'late')
      assert.equal((await newcomer.answer()).text, 'late')
    }
  })

  it('a burst of callers for whom there are not places enough is answered whole', async (t) => {
    const { world } = await start(t)
    const calls = Array.from({ length: 100 }, () => world.call('GET', '/', ['Connection: close']))
    assert.deepEqual(new Set((await Promise.all(calls)).map(({ status }) => status)), new Set([200]))
  })

  it('a new caller is turned away when none has been let in for two seconds', async (t) => {
    const { clock, world } = await start(t, { options: { maxConnections: 1 }, script: () => {} })
    const busy = await world.client()
    busy.write(world.message('GET', '/'))
    await world.upstream.request(0)
    const newcomer = await refusable(world)
    await clock.advance(1_500)
    assert.ok(isOpen(newcomer))
    await clock.advance(500)
    await within(2_000, 'the newcomer to be turned away', newcomer.closed)
  })

  it('it waits longer while the line moves, but ten seconds at most', async (t) => {
    const { clock, world } = await start(t, { options: { maxConnections: 1 }, script: () => {} })
    const waiting = []
    for (let count = 0; count < 9; count++) waiting.push(await refusable(world))
    for (const [at, client] of waiting.slice(0, 6).entries()) {
      client.write(world.message('GET', '/'))
      await world.upstream.request(at)
      await clock.advance(1_500)
      assert.ok(waiting.slice(at).every(isOpen))
      client.socket.resetAndDestroy()
    }
    const [first, ...others] = waiting.slice(6)
    first?.write(world.message('GET', '/'))
    await world.upstream.request(6)
    await clock.advance(1_000)
    for (const other of others) await within(2_000, 'the others to be turned away', other.closed)
    assert.ok(first !== undefined && isOpen(first))
  })

  it('one that leaves while it waits keeps nobody from a place', async (t) => {
    const { world } = await start(t, { options: { maxConnections: 1 }, script: () => {} })
    const busy = await world.client()
    busy.write(world.message('GET', '/'))
    answer(await world.upstream.request(0), 200, [], 'done')
    await busy.answer()
    const gone = [await refusable(world), await refusable(world), await refusable(world)]
    const stays = await refusable(world)
    gone[0]?.socket.destroy()
    gone[1]?.socket.end()
    gone[2]?.socket.resetAndDestroy()
    stays.write(world.message('GET', '/'))
    await quiet()
    busy.socket.destroy()
    answer(await world.upstream.request(1), 200, [], 'served')
    assert.equal((await stays.answer()).text, 'served')
  })

  it('one that has waited for less than a second may be about to send: a new caller waits for that second', async (t) => {
    const { clock, world } = await start(t)
    const silent = await world.client()
    const fresh = [await world.client(), await world.client()]
    await quiet()
    await clock.advance(500)
    const newcomer = await world.client()
    newcomer.write(world.message('GET', '/'))
    await quiet()
    assert.equal(world.upstream.requests.length, 0)
    for (const client of fresh) assert.equal((await client.call(world.message('GET', '/'))).status, 200)
    await clock.advance(500)
    assert.equal((await newcomer.answer()).status, 200)
    await within(2_000, 'the one that sent nothing to go', silent.closed)
    assert.ok(fresh.every(isOpen))
  })

  it('callers that will make no other call do not keep a new one out', async (t) => {
    const { clock, world } = await start(t)
    for (let count = 0; count < 3; count++) {
      const client = await world.client()
      // It has its answer, and keeps its side open.
      client.socket.allowHalfOpen = true
      assert.equal((await client.call(world.message('GET', '/', ['Connection: close']))).status, 200)
    }
    const newcomer = await world.client()
    newcomer.write(world.message('GET', '/'))
    await quiet()
    await clock.advance(1_500)
    assert.equal((await newcomer.answer()).status, 200)
  })

  it('a caller that still reads the end of its answer keeps its place', async (t) => {
    const path = join(tempDir(), 'relay.sock')
    const clock = new FakeClock()
    // Over a socket file the system takes some 200 KB: at one of these sizes the end waits in the relay.
    let sizeBytes = 0
    const create: Parameters<typeof starter>[0] = (options, { log }) => {
      const relay = createRelay({ ...options, listen: { kind: 'unix', path } }, { clock, log })
      return { ...relay, listen: () => relay.listen().then(() => 'http://localhost:1') }
    }
    await starter(create)(t, {
      options: { maxConnections: 1 },
      script: ({ socket, target }) => {
        const length = target === '/large' ? sizeBytes : 2
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`)
      },
    })
    for (sizeBytes = 150_000; sizeBytes < 330_000; sizeBytes += 30_000) {
      const reader = connect(path).pause()
      await once(reader, 'connect')
      reader.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await quiet(30)
      await clock.advance(1_500)
      const newcomer = connect(path).on('error', () => {})
      newcomer.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await quiet()
      await clock.advance(500)
      const received = countReceived(reader)
      await eventually(() => assert.ok(received() > sizeBytes, `${received()} of ${sizeBytes} bytes`))
      reader.destroy()
      newcomer.destroy()
      await quiet()
    }
  })

  it('when 511 wait already, a new caller is turned away at once', async (t) => {
    const { world } = await start(t, { options: { maxConnections: 1 }, script: () => {} })
    const busy = await world.client()
    busy.write(world.message('GET', '/'))
    await world.upstream.request(0)
    const line = await Promise.all(Array.from({ length: 511 }, () => refusable(world)))
    await quiet()
    const newcomer = await refusable(world)
    await within(2_000, 'the newcomer to be turned away', newcomer.closed)
    assert.ok(line.every(isOpen))
  })

  it('nobody waits for a sidecar that is about to end', async (t) => {
    const { world } = await start(t, { options: { maxConnections: 1 }, script: () => {} })
    const busy = await world.client()
    busy.write(world.message('GET', '/'))
    const request = await world.upstream.request(0)
    const newcomer = await refusable(world)
    await quiet()
    const drained = world.forwarder.drain(AbortSignal.timeout(5_000))
    await within(2_000, 'the newcomer to be turned away', newcomer.closed)
    answer(request, 200, [], 'done')
    assert.equal((await busy.answer()).text, 'done')
    await drained
  })

  it('the log says so, once a minute at most', async (t) => {
    const { clock, world } = await start(t, { options: { maxConnections: 1 } })
    const callers: RawClient[] = []
    for (let count = 0; count < 5; count++) {
      callers.push(await world.client())
      await quiet(20)
      await clock.advance(1_500)
    }
    const told = () =>
      world.log.filter(({ event }) => event === 'connections_full').map(({ fields }) => fields)
    assert.deepEqual(told(), [{ max_connections: 1, displaced: 1, waited: 0, refused: 0 }])
    await clock.advance(15_000)
    for (let count = 0; count < 40; count++) {
      callers.push(await world.client())
      await quiet(10)
      await clock.advance(1_500)
    }
    assert.equal(told().length, 2)
    assert.ok(Number(told()[1]?.['displaced']) > 10)
  })
})
