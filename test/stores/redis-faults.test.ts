import assert from 'node:assert/strict'
import { createServer, connect as dial, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { FakeClock } from '../support/fake-clock.ts'
import { skipReason, startRedisServer } from '../support/redis-server.ts'
import type { Teardown } from '../support/sidecar-process-program.ts'
import { CHANNEL, redisReplica } from './redis-medium.ts'
import { countHints, DAY, publish, soon, token } from './store-use.ts'

describe('a Redis server that fails', { skip: skipReason }, () => {
  it('costs each operation about a second while it is frozen, and nothing once it goes on', async (test) => {
    const server = await startRedisServer(test)
    const replica = redisReplica(test, server.url())
    await publish(replica, 1)
    server.freeze()
    test.after(() => server.thaw())
    for (const ask of [
      () => replica.store.read(soon()),
      () => replica.store.acquire(8_000, soon()),
      () => replica.store.offer(token(9), soon()),
    ]) {
      const began = performance.now()
      await assert.rejects(ask(), { name: 'TimeoutError' })
      assert.ok(performance.now() - began < 1_500)
    }
    server.thaw()
    assert.equal((await replica.store.read(soon())).token?.generation, 1)
    // What was still on its way to the frozen server was given up with its connection: nothing of it takes effect late.
    assert.notEqual(await replica.store.acquire(8_000, soon()), null)
    assert.equal((await replica.store.read(soon())).token?.generation, 1)
  })

  it('is back at the first operation after a restart, empty, and takes the newest token again', async (test) => {
    const server = await startRedisServer(test)
    const [a, b] = [redisReplica(test, server.url()), redisReplica(test, server.url())]
    await publish(a, 3)
    await server.kill()
    await assert.rejects(a.store.read(soon()))
    await assert.rejects(a.store.read(soon()), { code: 'ECONNREFUSED' })
    await server.restart()
    assert.equal((await a.store.read(soon())).token, null)
    assert.equal((await a.store.offer(token(3), soon())).token?.generation, 3)
    assert.equal((await b.store.read(soon())).token?.value.reveal(), 'token-3')
    assert.equal(a.warnings().length, new Set(a.warnings()).size, 'each cause is told once')
  })

  it('refuses what is asked while it is away, at once: nothing waits in a queue', async (test) => {
    const server = await startRedisServer(test)
    const replica = redisReplica(test, server.url())
    await publish(replica, 1)
    await server.kill()
    await Promise.allSettled([replica.store.read(soon())])
    const began = performance.now()
    const asked = await Promise.allSettled(
      Array.from({ length: 50 }, () => replica.store.offer(token(8), soon())),
    )
    assert.ok(performance.now() - began < 500)
    assert.ok(asked.every(({ status }) => status === 'rejected'))
    await server.restart()
    assert.equal((await replica.store.read(soon())).token, null)
  })

  it('ends subscriptions: they begin anew, and what was pushed meanwhile is asked for', async (test) => {
    const server = await startRedisServer(test)
    const [a, b] = [redisReplica(test, server.url()), redisReplica(test, server.url())]
    const hints = countHints(test, b)
    await hints.next()
    server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    server.cli('SET', CHANNEL, server.cli('GET', CHANNEL))
    await hints.next()
    await publish(a, 1)
    await hints.next()
    assert.equal((await b.store.read(soon())).token?.generation, 1)
    assert.deepEqual(
      b.lines.filter(({ level }) => level === 'warn').map(({ event }) => event),
      ['store_watch_failed'],
    )
  })

  it('is noticed on a subscribed connection that went silent without a word', async (test) => {
    const server = await startRedisServer(test)
    const wire = await silenceable(test, server.port)
    const clock = new FakeClock()
    const replica = redisReplica(test, `redis://127.0.0.1:${wire.port}`, clock)
    const hints = countHints(test, replica)
    await hints.next()
    const before = wire.connections
    wire.silence()
    await clock.advance(15_000)
    await clock.advance(2_000)
    await clock.advance(200)
    await hints.next()
    assert.equal(wire.connections, before + 1)
  })

  it('is left for a fresh connection when it has become a replica', async (test) => {
    const [old, promoted] = [await startRedisServer(test), await startRedisServer(test)]
    const wire = await silenceable(test, old.port)
    const replica = redisReplica(test, `redis://127.0.0.1:${wire.port}`)
    await publish(replica, 1)
    old.cli('REPLICAOF', '127.0.0.1', String(promoted.port))
    wire.to(promoted.port)
    await assert.rejects(replica.store.offer(token(2), soon()), { code: 'READONLY' })
    assert.equal((await replica.store.offer(token(2), soon())).token?.generation, 2)
    assert.match(promoted.cli('GET', CHANNEL), /"generation":2/)
  })

  it('says that the password is wrong without telling it, and is used once it was corrected there', async (test) => {
    const server = await startRedisServer(test, { acl: 'app on >correct-password ~* &* +@all' })
    const replica = redisReplica(test, server.url('app:hunter2'))
    const hints = countHints(test, replica)
    for (let n = 0; n < 3; n++) await assert.rejects(replica.store.read(soon()), { code: 'WRONGPASS' })
    assert.equal(replica.warnings().filter((line) => line.startsWith('store_connection_failed')).length, 1)
    assert.match(replica.warnings().join('\n'), /store_connection_failed .*WRONGPASS/)
    assert.doesNotMatch(JSON.stringify(replica.lines.map(String)) + replica.warnings(), /hunter2/)
    server.cli('ACL', 'SETUSER', 'app', '>hunter2')
    assert.equal((await replica.store.read(soon())).token, null)
    await hints.next()
    await publish(replica, 1)
    await hints.next()
  })

  it('leaves nothing behind after close(), whether it was there or not', async (test) => {
    const server = await startRedisServer(test)
    const there = redisReplica(test, server.url())
    const hints = countHints(test, there)
    await hints.next()
    await there.store.read(soon())
    await server.kill()
    const away = redisReplica(test, server.url())
    away.store.watch(() => assert.fail('nothing can have changed'))
    await assert.rejects(away.store.read(soon()))
    await server.restart()
    await there.store.read(soon())
    await Promise.all([there.medium.close(), away.medium.close()])
    await assert.rejects(there.store.read(soon()), /closed/)
    assert.equal(typeof there.store.watch(() => {}), 'function')
    // Longer than the longest of the first pauses: nobody comes back.
    await new Promise((resolve) => setTimeout(resolve, 400))
    const clients = server.cli('CLIENT', 'LIST').split('\n')
    assert.equal(clients.length, 1, `only redis-cli itself is connected: ${clients}`)
  })
})

describe('clocks that disagree', { skip: skipReason }, () => {
  it('do not move a token’s end: it is kept by the server’s clock', async (test) => {
    const server = await startRedisServer(test)
    const [ahead, behind] = [new FakeClock(Date.now() + 3_600_000), new FakeClock(Date.now() - 3_600_000)]
    const a = redisReplica(test, server.url(), ahead)
    const b = redisReplica(test, server.url(), behind)
    const lease = await a.store.acquire(8_000, soon())
    await lease?.begin(DAY, soon())
    const minted = { ...token(1), mintedAt: ahead.now(), validTill: ahead.now() + 600_000 }
    await lease?.publish(minted, soon())

    for (const [replica, clock] of [
      [a, ahead],
      [b, behind],
    ] as const) {
      const read = (await replica.store.read(soon())).token
      assert.ok(Math.abs((read?.validTill ?? 0) - clock.now() - 600_000) < 5_000)
      assert.ok(Math.abs((read?.mintedAt ?? 0) - clock.now()) < 5_000)
    }
    assert.ok(Math.abs((a.medium.clockOffsetMs ?? 0) + 3_600_000) < 5_000)
    assert.ok(Math.abs((b.medium.clockOffsetMs ?? 0) - 3_600_000) < 5_000)
  })

  it('are taken for equal within two seconds, so that instants come back to the millisecond', async (test) => {
    const server = await startRedisServer(test)
    const a = redisReplica(test, server.url(), new FakeClock(Date.now() + 1_500))
    const lease = await a.store.acquire(8_000, soon())
    await lease?.publish(token(1), soon())
    assert.equal(a.medium.clockOffsetMs, 0)
    assert.equal((await a.store.read(soon())).token?.validTill, token(1).validTill)
  })
})

/** A way to a server that can be made to swallow everything, as a firewall that forgot a connection does. */
async function silenceable(test: Teardown, port: number) {
  const open = new Set<{ silent: boolean }>()
  const sockets = new Set<Socket>()
  let target = port
  let connections = 0
  const wire = createServer((client) => {
    connections++
    const state = { silent: false }
    open.add(state)
    const server = dial(target, '127.0.0.1')
    const pass = (from: Socket, to: Socket) => {
      sockets.add(from)
      from.on('error', () => {})
      from.on('data', (bytes) => state.silent || to.write(bytes))
      from.on('close', () => to.destroy())
    }
    pass(client, server)
    pass(server, client)
  })
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve))
  test.after(() => {
    for (const socket of sockets) socket.destroy()
    wire.close()
  })
  const address = wire.address()
  return {
    port: typeof address === 'object' ? address?.port : 0,
    get connections() {
      return connections
    },
    /** Those that are open now; later ones work. */
    silence() {
      for (const state of open) state.silent = true
    },
    to(other: number) {
      target = other
    },
  }
}
