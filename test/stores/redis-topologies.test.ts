import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../proxy/lib/clock.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import {
  freePort,
  type RedisServer,
  skipReason,
  startRedisServer,
  startSentinel,
} from '../support/redis-server.ts'
import { redisReplica } from './redis-medium.ts'
import { soon, token } from './store-use.ts'

describe('a primary that sentinels know', { skip: skipReason }, () => {
  it('is found through any of them, and so is the next one after a fail-over', async (test) => {
    const primary = await startRedisServer(test)
    const replica = await startRedisServer(test, { replicaOf: primary.port })
    const sentinel = await startSentinel(test, 'tokens', primary)
    const url = `redis-sentinel://127.0.0.1:${await freePort()},127.0.0.1:${sentinel}/tokens`
    const { store } = redisReplica(test, url)
    let hints = 0
    test.after(
      store.watch(() => {
        hints++
      }),
    )
    await publish(store, 1)
    await until(() => replica.cli('KEYS', '*') !== '' && hints > 0)

    await primary.kill()
    await until(() => replica.cli('ROLE').startsWith('master'))
    await until(async () => (await store.read(soon()).catch(() => null))?.token?.generation === 1)
    hints = 0
    await publish(store, 2)
    await until(() => hints > 0)
  })

  it('needs no password of the sentinels when they have none', async (test) => {
    const primary = await startRedisServer(test, { password: 'pass~word' })
    const sentinel = await startSentinel(test, 'tokens', primary)
    const { store } = redisReplica(test, `redis-sentinel://:pass~word@127.0.0.1:${sentinel}/tokens/0`)
    await publish(store, 1)
    assert.equal((await store.read(soon())).token?.generation, 1)
  })

  it('is missed out loud when they do not know its name, or none of them answers', async (test) => {
    const sentinel = await startSentinel(test, 'tokens', await startRedisServer(test))
    for (const place of [`127.0.0.1:${sentinel}/others`, `127.0.0.1:${await freePort()}/tokens`]) {
      const { store, warnings } = redisReplica(test, `redis-sentinel://${place}`)
      await assert.rejects(store.read(soon()))
      assert.equal(warnings().length, 1)
    }
  })
})

describe('a cluster', { skip: skipReason }, () => {
  it('is asked where the entry is, by whichever node was named', async (test) => {
    const [one, two] = await startCluster(test)
    const secrets = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const node of [one, two]) {
      const { medium, warnings } = redisReplica(test, node.url())
      for (const secret of secrets) {
        const sealer = createSealer(new Secret(secret), new URL('https://api.test/token'))
        const store = new EntryTokenStore(medium, sealer, systemClock, 'holder')
        const generation = ((await store.read(soon())).token?.generation ?? 0) + 1
        await publish(store, generation)
        assert.equal((await store.read(soon())).token?.generation, generation)
      }
      assert.deepEqual(warnings(), [])
    }
    const entries = [one, two].map((node) => Number(node.cli('DBSIZE')))
    assert.equal((entries[0] ?? 0) + (entries[1] ?? 0), secrets.length)
    assert.ok(!entries.includes(0), `both nodes have entries: ${entries}`)
  })

  it('passes pushes on between its nodes', async (test) => {
    const [one, two] = await startCluster(test)
    const [a, b] = [redisReplica(test, one.url()), redisReplica(test, two.url())]
    let hints = 0
    test.after(
      b.store.watch(() => {
        hints++
      }),
    )
    await until(() => hints === 1)
    await publish(a.store, 1)
    await until(() => hints > 1)
  })
})

async function publish(store: EntryTokenStore, generation: number): Promise<void> {
  const lease = await store.acquire(8_000, soon())
  assert.ok(lease)
  assert.equal(await lease.publish(token(generation), soon()), true)
}

async function startCluster(
  test: Parameters<typeof startRedisServer>[0],
): Promise<[RedisServer, RedisServer]> {
  const nodes = [
    await startRedisServer(test, { cluster: true }),
    await startRedisServer(test, { cluster: true }),
  ] as const
  const [one, two] = nodes
  one.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '8191')
  two.cli('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383')
  one.cli('CLUSTER', 'MEET', '127.0.0.1', String(two.port))
  for (const node of nodes) {
    const agreed = () => node.cli('CLUSTER', 'INFO')
    await until(() => agreed().includes('cluster_state:ok') && agreed().includes('cluster_known_nodes:2'))
  }
  return [one, two]
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await reached())) {
    assert.ok(performance.now() < end, 'not within 20 s')
    await sleep(20)
  }
}
