import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import type { EntryMedium } from '../../proxy/stores/entry.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import type { MintLease, TokenStore } from '../../proxy/token/store.ts'
import { FakeClock, settled } from '../support/fake-clock.ts'
import { DAY, soon, token } from './store-use.ts'

/** One process's view of an entry, with the only clock it knows. */
export interface Replica {
  readonly store: TokenStore
  readonly clock: FakeClock
}

export interface ReplicaOptions {
  readonly secret?: string
  readonly tokenUrl?: string
  /** Its wall clock, which need not be right. */
  readonly wall?: string
}

/** One place where entries are kept, empty at first. */
export interface Harness {
  /** Starts one more process that uses the place. */
  replica(options?: ReplicaOptions): Promise<Replica>
  /** Ends all replicas and removes the place. */
  close(): Promise<void>
}

/** A harness for any medium: `open` starts one more process's, `remove` removes what they share. */
export function harnessOf(open: (id: string) => EntryMedium, remove: () => Promise<void>): Harness {
  const media: EntryMedium[] = []
  return {
    async replica({
      secret = 'one',
      tokenUrl = 'https://api.test/token',
      wall = '2026-11-22T12:00:00Z',
    } = {}) {
      const id = `replica-${media.length + 1}`
      const medium = open(id)
      media.push(medium)
      const clock = new FakeClock(wall)
      const sealer = createSealer(new Secret(secret), new URL(tokenUrl))
      return { clock, store: new EntryTokenStore(medium, sealer, clock, id) }
    },
    async close() {
      await Promise.all(media.map((medium) => medium.close()))
      await remove()
    },
  }
}

const LEASE_MS = 8_000

async function leased({ store }: Replica): Promise<MintLease> {
  const lease = await store.acquire(LEASE_MS, soon())
  assert.ok(lease, 'the right to mint was to be had')
  return lease
}

async function denied({ store }: Replica): Promise<void> {
  assert.equal(await store.acquire(LEASE_MS, soon()), null)
}

async function held({ store }: Replica): Promise<[generation: number, value: string] | null> {
  const { token } = await store.read(soon())
  return token && [token.generation, token.value.reveal()]
}

async function rotating({ store }: Replica): Promise<boolean> {
  return (await store.read(soon())).rotating
}

/** What every engine promises, as `TokenStore` states it. */
export function tokenStoreContract(name: string, open: () => Promise<Harness>): void {
  const promise = (sentence: string, check: (harness: Harness, t: TestContext) => Promise<void>) =>
    it(sentence, async (t) => {
      const harness = await open()
      try {
        await check(harness, t)
      } finally {
        await harness.close()
      }
    })

  describe(`a token store (${name})`, () => {
    describe('tokens', () => {
      promise('an entry that nobody has written is empty', async ({ replica }) => {
        const { store } = await replica()
        assert.deepEqual(await store.read(soon()), {
          token: null,
          requests: { day: '', count: 0 },
          rotating: false,
        })
      })

      promise('a token published under a lease is what everybody reads', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const published = token(1, 'a "quoted" tökén '.padEnd(256, '.'))
        assert.equal(await (await leased(a)).publish(published, soon()), true)
        for (const { store } of [a, b, await replica()]) {
          const read = (await store.read(soon())).token
          assert.deepEqual(
            { ...read, value: read?.value.reveal() },
            {
              ...published,
              value: published.value.reveal(),
            },
          )
        }
      })

      promise('a token that never expires stays one', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        await (await leased(a)).publish({ ...token(1), validTill: null }, soon())
        assert.equal((await b.store.read(soon())).token?.validTill, null)
      })

      promise('the lease tells what the entry held when it was obtained', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const first = await leased(a)
        assert.equal(first.state.token, null)
        await first.begin(DAY, soon())
        await first.publish(token(1), soon())
        const { state } = await leased(b)
        assert.equal(state.token?.value.reveal(), 'token-1')
        assert.deepEqual(state.requests, { day: DAY, count: 1 })
        assert.equal(state.rotating, false)
      })

      promise('an offer takes effect only for a higher generation', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        assert.equal((await a.store.offer(token(4), soon())).token?.generation, 4)
        for (const low of [token(3, 'lower'), token(4, 'equal')]) {
          const { token: kept } = await b.store.offer(low, soon())
          assert.equal(kept?.value.reveal(), 'token-4')
        }
        await b.store.offer(token(9), soon())
        assert.deepEqual(await held(a), [9, 'token-9'])
      })

      promise('what is minted under a lease wins over what is offered meanwhile', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const lease = await leased(a)
        await b.store.offer(token(7, 'revoked by the mint'), soon())
        assert.equal(await lease.publish(token(1, 'minted'), soon()), true)
        assert.deepEqual(await held(b), [8, 'minted'])
      })

      promise('two secrets never see each other, nor do two token APIs', async ({ replica }) => {
        const mine = await replica()
        const others = [
          await replica({ secret: 'two' }),
          await replica({ tokenUrl: 'https://eu.test/token' }),
        ]
        const lease = await leased(mine)
        await lease.begin(DAY, soon())
        for (const other of others) {
          const own = await leased(other)
          assert.equal(await own.begin(DAY, soon()), 1)
          assert.deepEqual([await held(other), await rotating(other)], [null, false])
          await own.publish(token(5, 'another'), soon())
        }
        assert.equal(await lease.publish(token(1), soon()), true)
        assert.deepEqual(await held(mine), [1, 'token-1'])
        for (const other of others) assert.deepEqual(await held(other), [5, 'another'])
      })
    })

    describe('the right to mint', () => {
      promise('is one process’s at a time, and free after publishing or release', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const first = await leased(a)
        await denied(b)
        await first.publish(token(1), soon())
        const second = await leased(b)
        await denied(a)
        await second.release(soon())
        await leased(a)
      })

      promise('goes to exactly one of many that ask at once', async ({ replica }) => {
        const replicas = await Promise.all(Array.from({ length: 8 }, () => replica()))
        const leases = await Promise.all(replicas.map(({ store }) => store.acquire(LEASE_MS, soon())))
        assert.equal(leases.filter((lease) => lease !== null).length, 1)
      })

      promise('is free once it was seen unchanged for its whole duration', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        await leased(a)
        await denied(b)
        await b.clock.advance(LEASE_MS - 1)
        await denied(b)
        await b.clock.advance(1)
        await leased(b)
        await denied(a)
      })

      promise(
        'is not taken for run out by who sees it for the first time, however old it is',
        async ({ replica }) => {
          const a = await replica()
          await leased(a)
          await a.clock.advance(3_600_000)
          const late = await replica({ wall: '2026-11-22T13:00:00Z' })
          await late.clock.advance(3_600_000)
          await denied(late)
          await late.clock.advance(LEASE_MS)
          await leased(late)
        },
      )

      promise('runs out for who has only read the entry, too', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        await (await leased(a)).begin(DAY, soon())
        assert.equal(await rotating(b), true)
        await b.clock.advance(LEASE_MS)
        assert.equal(await rotating(b), false)
        await leased(b)
      })

      promise('does not depend on what any wall clock says', async ({ replica }) => {
        const a = await replica({ wall: '2026-11-22T11:00:00Z' })
        const b = await replica({ wall: '2026-11-22T13:00:00Z' })
        await leased(a)
        await denied(b)
        b.clock.jumpWall(3_600_000)
        await denied(b)
        b.clock.jumpWall(-7_200_000)
        await b.clock.advance(LEASE_MS)
        await leased(b)
      })

      promise('is to be watched anew when it was renewed', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        await leased(a)
        await denied(b)
        await b.clock.advance(LEASE_MS - 1)
        await leased(a)
        await denied(b)
        await b.clock.advance(LEASE_MS - 1)
        await denied(b)
        await b.clock.advance(1)
        await leased(b)
      })

      promise('is superseded by the same process asking again', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const earlier = await leased(a)
        const later = await leased(a)
        await assert.rejects(earlier.begin(DAY, soon()), { code: 'lease_lost' })
        assert.equal(await earlier.publish(token(1), soon()), false)
        await earlier.release(soon())
        await denied(b)
        assert.equal(await later.begin(DAY, soon()), 1)
        assert.equal(await later.publish(token(1, 'later'), soon()), true)
        assert.deepEqual(await held(b), [1, 'later'])
      })

      promise('once taken over leaves its former holder nothing to change', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const former = await leased(a)
        await denied(b)
        await b.clock.advance(LEASE_MS)
        const present = await leased(b)
        await present.begin(DAY, soon())
        await assert.rejects(former.begin(DAY, soon()), { code: 'lease_lost' })
        assert.equal(await former.publish(token(1, 'late'), soon()), false)
        await former.release(soon())
        assert.equal(await rotating(a), true)
        assert.equal(await held(a), null)
        await denied(await replica())
        assert.equal(await present.publish(token(1, 'in time'), soon()), true)
        assert.deepEqual(await held(a), [1, 'in time'])
        assert.deepEqual((await a.store.read(soon())).requests, { day: DAY, count: 1 })
      })

      promise('ends with publishing: the lease is of no use afterwards', async ({ replica }) => {
        const a = await replica()
        const lease = await leased(a)
        await lease.publish(token(1), soon())
        await assert.rejects(lease.begin(DAY, soon()), { code: 'lease_lost' })
        assert.equal(await lease.publish(token(2), soon()), false)
        assert.deepEqual(await held(a), [1, 'token-1'])
      })
    })

    describe('requests to the token API', () => {
      promise('are counted across replicas and restarts', async ({ replica }) => {
        for (const count of [1, 2, 3]) {
          const lease = await leased(await replica())
          assert.equal(await lease.begin(DAY, soon()), count)
          if (count === 1) await lease.publish(token(1), soon())
          else await lease.release(soon())
        }
        const lease = await leased(await replica())
        assert.deepEqual([await lease.begin(DAY, soon()), await lease.begin(DAY, soon())], [4, 5])
        assert.deepEqual((await (await replica()).store.read(soon())).requests, { day: DAY, count: 5 })
      })

      promise('are counted from one again on a new UTC day', async ({ replica }) => {
        const a = await replica()
        const lease = await leased(a)
        await lease.begin(DAY, soon())
        await lease.begin(DAY, soon())
        assert.equal(await lease.begin('2026-11-23', soon()), 1)
        assert.deepEqual((await a.store.read(soon())).requests, { day: '2026-11-23', count: 1 })
      })

      promise('are not forgotten because a replica’s clock is still in yesterday', async ({ replica }) => {
        const lease = await leased(await replica())
        await lease.begin('2026-11-23', soon())
        assert.equal(await lease.begin(DAY, soon()), 2)
        assert.equal(await lease.begin('2026-11-23', soon()), 3)
      })

      promise('are counted for the right day again after a clock was far ahead', async ({ replica }) => {
        const lease = await leased(await replica())
        await lease.begin('2030-01-01', soon())
        assert.equal(await lease.begin(DAY, soon()), 1)
        assert.equal(await lease.begin(DAY, soon()), 2)
      })

      promise('are announced to the others, not to oneself', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const lease = await leased(a)
        assert.deepEqual([await rotating(a), await rotating(b)], [false, false])
        await lease.begin(DAY, soon())
        assert.deepEqual([await rotating(a), await rotating(b)], [false, true])
        await lease.publish(token(1), soon())
        assert.equal(await rotating(b), false)
      })

      promise('are no longer announced after a release', async ({ replica }) => {
        const [a, b] = [await replica(), await replica()]
        const lease = await leased(a)
        await lease.begin(DAY, soon())
        assert.equal(await rotating(b), true)
        await lease.release(soon())
        assert.equal(await rotating(b), false)
        await lease.release(soon())
      })
    })

    describe('watching', () => {
      promise(
        'tells of another replica’s announcement and token, and of nothing once ended',
        async ({ replica }) => {
          const [a, b, c] = [await replica(), await replica(), await replica()]
          const seen = hints(b.store)
          const witness = hints(c.store)
          const lease = await leased(a)
          await lease.begin(DAY, soon())
          while (!(await rotating(b))) await seen.next()
          await lease.publish(token(1), soon())
          while ((await held(b))?.[0] !== 1) await seen.next()

          seen.end()
          const before = seen.count
          await a.store.offer(token(2), soon())
          while ((await held(c))?.[0] !== 2) await witness.next()
          await settled()
          witness.end()
          assert.equal(seen.count, before)
        },
      )

      promise('may be ended twice, and before anything came', async ({ replica }) => {
        const { store } = await replica()
        const end = store.watch(() => {})
        end()
        end()
      })
    })

    describe('an aborted signal', () => {
      const asked: Record<
        string,
        (store: TokenStore, lease: MintLease, signal: AbortSignal) => Promise<unknown>
      > = {
        read: (store, _, signal) => store.read(signal),
        acquire: (store, _, signal) => store.acquire(LEASE_MS, signal),
        offer: (store, _, signal) => store.offer(token(5), signal),
        begin: (_, lease, signal) => lease.begin(DAY, signal),
        publish: (_, lease, signal) => lease.publish(token(5), signal),
        release: (_, lease, signal) => lease.release(signal),
      }
      for (const [operation, ask] of Object.entries(asked)) {
        promise(`is the reason of ${operation}, which changes nothing`, async ({ replica }) => {
          const [a, b] = [await replica(), await replica()]
          const lease = await leased(a)
          const signal = AbortSignal.abort(new Error('too late'))
          await assert.rejects(ask(a.store, lease, signal), { message: 'too late' })
          await denied(b)
          assert.deepEqual(await b.store.read(soon()), await a.store.read(soon()))
          assert.equal(await held(b), null)
          assert.equal(await lease.begin(DAY, soon()), 1)
        })

        promise(`ends ${operation} at once while it is under way`, async ({ replica }) => {
          const a = await replica()
          const lease = await leased(a)
          const controller = new AbortController()
          const asking = ask(a.store, lease, controller.signal)
          controller.abort(new Error('enough'))
          await assert.rejects(asking, { message: 'enough' })
        })
      }
    })

    promise('closing twice is closing once, and the other replicas go on', async ({ replica }) => {
      const [a, b] = [await replica(), await replica()]
      await (await leased(a)).publish(token(1), soon())
      await a.store.close()
      await a.store.close()
      assert.deepEqual(await held(b), [1, 'token-1'])
      await (await leased(b)).publish(token(2), soon())
    })
  })
}

/** Counts hints; `next` resolves at the next one not yet waited for, and fails the test when none comes. */
function hints(store: TokenStore) {
  let count = 0
  let waited = 0
  let wake = () => {}
  const end = store.watch(() => {
    count++
    wake()
  })
  return {
    end,
    get count() {
      return count
    },
    async next() {
      if (count === waited) {
        await new Promise<void>((resolve, reject) => {
          wake = resolve
          const timeout = soon()
          timeout.addEventListener('abort', () => reject(timeout.reason), { once: true })
        })
      }
      waited = count
    },
  }
}
