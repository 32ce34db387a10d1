import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from '../../proxy/stores/entry.ts'
import { MemoryMedium } from '../../proxy/stores/memory.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import type { MintLease } from '../../proxy/token/store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { fc } from '../support/fast-check.ts'
import { token } from './store-use.ts'

const sealer = createSealer(new Secret('one'), new URL('https://api.test/token'))
const signal = new AbortController().signal
const DAY = '2026-11-22'

function storeOver(medium: EntryMedium, holder: string, clock = new FakeClock()): EntryTokenStore {
  return new EntryTokenStore(medium, sealer, clock, holder)
}

function forget(medium: EntryMedium): Promise<Entry> {
  return medium.update(sealer.entryKey, () => emptyEntry, signal)
}

describe('a token store over a medium that loses its data', () => {
  it('gives no lease that looks like one from before', async () => {
    const medium = new MemoryMedium()
    const clock = new FakeClock()
    const [a, b] = [storeOver(medium, 'a'), storeOver(medium, 'b', clock)]
    const before = await a.acquire(1_000, signal)
    assert.equal(await b.acquire(1_000, signal), null)
    await forget(medium)
    const after = await a.acquire(1_000, signal)
    await clock.advance(1_000)
    assert.equal(await b.acquire(1_000, signal), null, 'the new lease was seen for no time yet')
    assert.equal(await before?.publish(token(1), signal), false)
    assert.equal(await after?.publish(token(1), signal), true)
  })

  it('rejects what is done under a lease that was lost with it', async () => {
    const medium = new MemoryMedium()
    const lease = await storeOver(medium, 'a').acquire(1_000, signal)
    await forget(medium)
    await assert.rejects(async () => lease?.begin(DAY, signal), { code: 'lease_lost' })
    assert.equal(await lease?.publish(token(1), signal), false)
  })
})

describe('a token store', () => {
  it('goes on from the number of a token that it cannot open', async () => {
    const medium = new MemoryMedium()
    await medium.update(sealer.entryKey, () => ({ ...emptyEntry, generation: 9, sealed: 'v7.unknown' }))
    const store = storeOver(medium, 'a')
    assert.equal((await store.read(signal)).token, null)
    await (await store.acquire(1_000, signal))?.publish(token(1, 'new'), signal)
    const read = (await store.read(signal)).token
    assert.deepEqual([read?.generation, read?.value.reveal()], [10, 'new'])
  })

  it('opens no token under a number that somebody wrote over it', async () => {
    const medium = new MemoryMedium()
    const store = storeOver(medium, 'a')
    await store.offer(token(3), signal)
    await medium.update(sealer.entryKey, (entry) => ({ ...entry, generation: 4 }))
    assert.equal((await store.read(signal)).token, null)
  })

  it('writes leases that survive being written as JSON, whatever their length', async () => {
    const medium = new MemoryMedium()
    await storeOver(medium, 'a').acquire(1_000.5, signal)
    const entry = await medium.read(sealer.entryKey)
    assert.deepEqual(parseEntry(JSON.parse(JSON.stringify(entry))), entry)
    assert.equal(entry.lease?.durationMs, 1_001)
  })

  it('applies a change again after a conflict without counting twice', async () => {
    const medium = new MemoryMedium()
    const conflicting: EntryMedium = {
      kind: 'memory',
      read: (key) => medium.read(key),
      watch: (key, changed) => medium.watch(key, changed),
      close: () => medium.close(),
      async update(key, change) {
        change(await medium.read(key))
        return medium.update(key, change)
      },
    }
    const lease = await storeOver(conflicting, 'a').acquire(1_000, signal)
    assert.deepEqual([await lease?.begin(DAY, signal), await lease?.begin(DAY, signal)], [1, 2])
    assert.equal(await lease?.publish(token(1), signal), true)
  })

  it('does not wait for a medium that ignores its signal', async () => {
    const never = new Promise<never>(() => {})
    const stuck: EntryMedium = {
      kind: 'stuck',
      read: () => never,
      update: () => never,
      watch: () => () => {},
      close: async () => {},
    }
    const store = storeOver(stuck, 'a')
    const controller = new AbortController()
    const asked = [
      store.read(controller.signal),
      store.acquire(1_000, controller.signal),
      store.offer(token(1), controller.signal),
    ]
    const ended = asked.map((work) => assert.rejects(work, { message: 'enough' }))
    controller.abort(new Error('enough'))
    await Promise.all(ended)
  })

  it('keeps its promises in whatever order replicas act', async () => {
    const replica = fc.integer({ min: 0, max: 2 })
    const act = fc.oneof(
      fc.record({ do: fc.constant('acquire' as const), replica }),
      fc.record({ do: fc.constant('begin' as const), replica }),
      fc.record({ do: fc.constant('publish' as const), replica }),
      fc.record({ do: fc.constant('release' as const), replica }),
      fc.record({ do: fc.constant('read' as const), replica }),
      fc.record({ do: fc.constant('offer' as const), replica, generation: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ do: fc.constant('advance' as const), replica, ms: fc.integer({ min: 1, max: 1_500 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
        const medium = new MemoryMedium()
        const clocks = [new FakeClock(), new FakeClock(), new FakeClock()] as const
        const stores = clocks.map((clock, index) => storeOver(medium, `replica-${index}`, clock))
        const leases: (MintLease | null)[] = [null, null, null]
        // What each replica has seen of the lease, and since when; and who holds it, if anybody does.
        const seen: { epoch: number; at: number }[] = []
        let holder: number | null = null
        let requests = 0
        for (const step of acts) {
          const { replica } = step
          const [store, clock, lease] = [stores[replica]!, clocks[replica]!, leases[replica] ?? null]
          const before = await medium.read(sealer.entryKey)
          const isHolder: boolean = holder === replica
          const look = () => {
            const epoch = before.lease?.epoch ?? 0
            if (holder === null || isHolder) return true
            if (seen[replica]?.epoch !== epoch) seen[replica] = { epoch, at: clock.monotonic() }
            return clock.monotonic() - seen[replica].at >= 1_000
          }
          switch (step.do) {
            case 'acquire': {
              const free = look()
              const got = await store.acquire(1_000, signal)
              assert.equal(got !== null, free)
              if (got === null) break
              leases[replica] = got
              holder = replica
              break
            }
            case 'begin':
              if (lease === null) break
              if (isHolder) assert.equal(await lease.begin(DAY, signal), ++requests)
              else await assert.rejects(lease.begin(DAY, signal), { code: 'lease_lost' })
              break
            case 'publish':
              if (lease === null) break
              assert.equal(await lease.publish(token(before.generation + 1), signal), isHolder)
              if (isHolder) holder = null
              break
            case 'release':
              if (lease === null) break
              await lease.release(signal)
              if (isHolder) holder = null
              break
            case 'offer': {
              look()
              const { token: kept } = await store.offer(token(step.generation), signal)
              assert.equal(kept?.generation, Math.max(before.generation, step.generation))
              break
            }
            case 'read': {
              const announced = !look() && before.lease?.announced === true
              const state = await store.read(signal)
              assert.equal(state.token?.generation ?? 0, before.generation)
              assert.equal(state.rotating, announced)
              break
            }
            case 'advance':
              await clock.advance(step.ms)
              break
          }
          const after = await medium.read(sealer.entryKey)
          assert.ok(after.generation >= before.generation, 'generations never go back')
          assert.equal(after.requests.count, requests, 'no request is forgotten or counted twice')
          assert.equal(after.lease?.holder ?? null, holder === null ? null : `replica-${holder}`)
        }
      }),
      { numRuns: 300 },
    )
  })
})
