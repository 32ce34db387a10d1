import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createRelay } from '../../proxy/relay/relay.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { RawClient } from '../support/raw-client.ts'
import { answer } from '../support/raw-upstream.ts'
import { quiet, type Settings, starter, within } from './contract/world.ts'

/** Places for three, in a time that stands still until the test moves it. */
async function start(t: TestContext, settings: Settings = {}) {
  const clock = new FakeClock()
  const options = { maxConnections: 3, ...settings.options }
  const create: Parameters<typeof starter>[0] = (all, { log }) => createRelay(all, { clock, log })
  return { clock, world: await starter(create)(t, { ...settings, options }) }
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

  it('calls under way keep theirs, and a new caller is turned away at once', async (t) => {
    const { clock, world } = await start(t, { script: () => {} })
    const busy = [await world.client(), await world.client(), await world.client()]
    busy[0]?.write(world.message('GET', '/'))
    busy[1]?.write(`${world.message('POST', '/', ['Content-Length: 10'])}half`)
    busy[2]?.write(world.message('GET', '/'))
    const requests = []
    for (const at of [0, 1, 2]) requests.push(await world.upstream.request(at))
    await clock.advance(5_000)
    const newcomer = await world.client()
    newcomer.socket.on('error', () => {})
    await within(2_000, 'the newcomer to be turned away', newcomer.closed)
    busy[1]?.write('number')
    for (const request of requests) answer(request, 200, [], 'done')
    for (const client of busy) assert.equal((await client.answer()).text, 'done')
  })

  it('one that has waited for less than a second may be about to send', async (t) => {
    const { clock, world } = await start(t)
    const fresh = [await world.client(), await world.client(), await world.client()]
    await quiet()
    await clock.advance(500)
    const newcomer = await world.client()
    newcomer.socket.on('error', () => {})
    await within(2_000, 'the newcomer to be turned away', newcomer.closed)
    for (const client of fresh) assert.equal((await client.call(world.message('GET', '/'))).status, 200)
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
    assert.deepEqual(told(), [{ max_connections: 1, displaced: 1, refused: 0 }])
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
