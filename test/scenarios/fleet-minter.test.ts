import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MintEvent } from '../../sandbox/mint-log.ts'
import { assertAllWell, type RecordedLoad } from '../support/load-record.ts'
import { skipReason } from '../support/redis-server.ts'
import type { Sidecar } from '../support/sidecar-process.ts'
import {
  agreement,
  askToRotate,
  assertFleet,
  type Fleet,
  type FleetOptions,
  loadOn,
  logsOf,
  requestThat,
  rotateAt,
  startFleet,
  startReplicas,
  stored,
  type Wire,
  wireTo,
} from './fleet-setup.ts'
import { eventually, HOLD_TIMEOUT_MS, tokenRequests } from './setup.ts'

/** One replica that is asked to rotate, so that it is known who mints, and the others, which have all the traffic. */
interface Stage extends Fleet {
  readonly minter: Sidecar
  readonly others: readonly [Sidecar, ...Sidecar[]]
  /** Between the minter and Redis. */
  readonly wire: Wire
  readonly load: RecordedLoad
  /** Requests to the token API so far: one, unless the machine was so busy that its answer came too late. */
  readonly before: number
  /** What all agree on. */
  readonly generation: number
  /** The nth request from now on, once `reached` holds for it. */
  request(nth: number, reached?: (event: MintEvent) => boolean): Promise<MintEvent>
}

const processed = ({ processedAt }: MintEvent) => processedAt !== null

describe('a fleet whose minter is killed', { skip: skipReason, concurrency: 3 }, () => {
  it('before its request: the living token serves on, and the next rotation is another’s', async (test) => {
    const stage = await prepare(test)
    const held = stage.wire.hold()
    askToRotate(stage.minter)
    await held
    await stage.minter.kill()
    assert.equal(stored(stage.redis).lease?.announced, true)
    assert.equal(tokenRequests(stage.sandbox).length, stage.before, 'killed before the request')

    await stage.load.more(100)
    const since = performance.now()
    assert.equal((await rotateAt(stage.others[0])).status, 200)
    await concluded(test, stage, { minted: 1, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('while its request waits: its late effect costs one more mint, after the lease, and no call', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow', ms: 1_500, count: 1 })
    askToRotate(stage.minter)
    await stage.request(1)
    const since = performance.now()
    await stage.minter.kill()
    const lost = await stage.request(1, processed)
    const next = await stage.request(2)
    assert.ok(next.startedAt >= (lost.processedAt ?? Number.POSITIVE_INFINITY))
    await concluded(test, stage, { minted: 2, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('while its answer is on the way: one more mint, after the lease, and no call fails', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 1_500, count: 1 })
    askToRotate(stage.minter)
    await stage.request(1, processed)
    const since = performance.now()
    await stage.minter.kill()
    await stage.request(2)
    await concluded(test, stage, { minted: 2, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('with the answer, before it is published: one more mint, after the lease, and no call fails', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 300, count: 1 })
    askToRotate(stage.minter)
    await stage.request(1, processed)
    stage.redis.freeze()
    await stage.minter.logged('token_minted', ({ generation }) => Number(generation) > stage.generation)
    const since = performance.now()
    await stage.minter.kill()
    stage.redis.thaw()
    assert.equal(stored(stage.redis).generation, stage.generation, 'killed before it published')
    await stage.request(2)
    await concluded(test, stage, { minted: 2, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('once it has published: the others go on with its token at once', async (test) => {
    const stage = await prepare(test)
    askToRotate(stage.minter)
    await eventually('the token in the store', () => stored(stage.redis).generation > stage.generation)
    const since = performance.now()
    await stage.minter.kill()
    await concluded(test, stage, { minted: 1, since, withinMs: 2_000 })
  })
})

describe('a minter that is stopped', { skip: skipReason, concurrency: 3 }, () => {
  it('past its lease, while its answer waits for it: it takes its successor’s token and mints no more', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow', ms: 300, count: 1 })
    askToRotate(stage.minter)
    await stage.request(1)
    const since = performance.now()
    stage.minter.signal('SIGSTOP')
    await stage.request(2, ({ answeredAt }) => answeredAt !== null)
    await agreement(stage.sandbox, stage.others)
    const successorMs = performance.now() - since
    stage.minter.signal('SIGCONT')
    const returnedMs = await agreement(stage.sandbox, [stage.minter])
    test.diagnostic(
      `others agree after ${successorMs.toFixed(0)} ms, the stopped one after ${returnedMs.toFixed(0)} ms`,
    )
    assert.ok(returnedMs < HOLD_TIMEOUT_MS)
    const back = loadOn(test, [stage.minter], 4)
    await back.more(100)
    await stage.load.more(100)
    await back.stop()
    assertAllWell(back.outcomes)
    assert.ok(successorMs < HOLD_TIMEOUT_MS)
    await assertFleet(test, stage, [stage.load], { minted: stage.before + 2 })
  })

  it('past the deadline of its request, but not its lease: it publishes the answer that waits for it', async (test) => {
    const holdMs = 12_000
    const env = { MINT_QUARANTINE: '6s', HOLD_TIMEOUT: `${holdMs}ms` }
    const stage = await prepare(test, { env })
    stage.sandbox.faults.add({ api: 'token', kind: 'slow', ms: 300, count: 1 })
    askToRotate(stage.minter)
    await stage.request(1)
    const since = performance.now()
    stage.minter.signal('SIGSTOP')
    await stage.request(1, ({ answeredAt }) => answeredAt !== null)
    // Longer than MINT_TIMEOUT of 2 s, and shorter than the lease of 9 s.
    await sleep(2_500)
    stage.minter.signal('SIGCONT')
    await agreement(stage.sandbox, [stage.minter])
    await concluded(test, stage, { minted: 1, since, withinMs: holdMs })
  })

  it('past its lease, before its request: it does not send it when it goes on', async (test) => {
    const stage = await prepare(test)
    const held = stage.wire.hold()
    askToRotate(stage.minter)
    await held
    stage.minter.signal('SIGSTOP')
    stage.wire.release()
    // Longer than the lease of 3.5 s; a successor mints meanwhile.
    await sleep(4_000)
    const since = performance.now()
    assert.equal((await rotateAt(stage.others[0])).status, 200)
    stage.minter.signal('SIGCONT')
    await agreement(stage.sandbox, [stage.minter])
    await concluded(test, stage, { minted: 1, since, withinMs: HOLD_TIMEOUT_MS })
  })
})

/** Returns when all hold the living token, and nothing is under way any more but calls. */
async function prepare(test: TestContext, options: FleetOptions = {}): Promise<Stage> {
  const fleet = await startFleet(test, { replicas: 2, ...options })
  const wire = await wireTo(test, fleet.redis)
  const [minter] = await startReplicas(test, { ...fleet.settings, TOKEN_STORE: wire.url }, 1)
  const [first, ...rest] = fleet.sidecars
  assert.ok(minter && first)
  const load = loadOn(test, fleet.sidecars, 6)
  await load.more(50)
  await agreement(fleet.sandbox, [...fleet.sidecars, minter])
  await eventually('no lease is held', () => stored(fleet.redis).lease === null)
  const before = tokenRequests(fleet.sandbox).length
  return {
    ...fleet,
    minter,
    others: [first, ...rest],
    wire,
    load,
    before,
    generation: stored(fleet.redis).generation,
    request: (nth, reached = () => true) =>
      requestThat(fleet.sandbox, before + nth, reached).catch((error) => {
        test.diagnostic(logsOf([minter, ...fleet.sidecars]))
        throw error
      }),
  }
}

/** All agree within a time since the deed, with so many more mints, and no call failed. */
async function concluded(
  test: TestContext,
  stage: Stage,
  expected: { readonly minted: number; readonly since: number; readonly withinMs: number },
): Promise<void> {
  await agreement(stage.sandbox, stage.others)
  const agreedMs = performance.now() - expected.since
  test.diagnostic(`agreement after ${agreedMs.toFixed(0)} ms`)
  assert.ok(agreedMs <= expected.withinMs)
  await stage.load.more(100)
  await assertFleet(test, stage, [stage.load], { minted: stage.before + expected.minted })
}
