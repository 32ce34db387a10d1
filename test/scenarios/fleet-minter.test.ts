import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertAllWell, type RecordedLoad } from '../support/load-record.ts'
import { skipReason } from '../support/redis-server.ts'
import type { Sidecar } from '../support/sidecar-process.ts'
import {
  agreement,
  askToRotate,
  assertFleet,
  type Fleet,
  loadOn,
  requestThat,
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
  readonly others: readonly Sidecar[]
  /** Between the minter and Redis. */
  readonly wire: Wire
  readonly load: RecordedLoad
}

describe('a fleet whose minter is killed', { skip: skipReason, concurrency: 4 }, () => {
  it('before its request: the living token serves on, and the next rotation is another’s', async (test) => {
    const stage = await prepare(test, true)
    askToRotate(stage.minter)
    await stage.wire.announced
    await stage.minter.kill()
    assert.equal(stored(stage.redis).lease?.announced, true)
    assert.equal(tokenRequests(stage.sandbox).length, 1, 'killed before the request')

    await stage.load.more(100)
    const [second] = stage.others
    assert.ok(second)
    const since = performance.now()
    const headers = { 'x-sidecar-request': '1' }
    assert.equal((await second.ask('/rotate', { method: 'POST', headers })).status, 200)
    await concluded(test, stage, { minted: 2, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('while its request waits: its late effect costs one more mint, after the lease, and no call', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow', ms: 1_500, count: 1 })
    askToRotate(stage.minter)
    await requestThat(stage.sandbox, 2, () => true)
    const since = performance.now()
    await stage.minter.kill()
    const lost = await requestThat(stage.sandbox, 2, ({ processedAt }) => processedAt !== null)
    const next = await requestThat(stage.sandbox, 3, () => true)
    assert.ok(next.startedAt >= (lost.processedAt ?? Number.POSITIVE_INFINITY))
    await concluded(test, stage, { minted: 3, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('while its answer is on the way: one more mint, after the lease, and no call fails', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 1_500, count: 1 })
    askToRotate(stage.minter)
    await requestThat(stage.sandbox, 2, ({ processedAt }) => processedAt !== null)
    const since = performance.now()
    await stage.minter.kill()
    await requestThat(stage.sandbox, 3, () => true)
    await concluded(test, stage, { minted: 3, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('with the answer, before it is published: one more mint, after the lease, and no call fails', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 300, count: 1 })
    askToRotate(stage.minter)
    await requestThat(stage.sandbox, 2, ({ processedAt }) => processedAt !== null)
    stage.redis.freeze()
    await stage.minter.logged('token_minted', ({ generation }) => generation === 2)
    const since = performance.now()
    await stage.minter.kill()
    stage.redis.thaw()
    assert.equal(stored(stage.redis).generation, 1, 'killed before it published')
    await requestThat(stage.sandbox, 3, () => true)
    await concluded(test, stage, { minted: 3, since, withinMs: HOLD_TIMEOUT_MS })
  })

  it('once it has published: the others go on with its token at once', async (test) => {
    const stage = await prepare(test)
    askToRotate(stage.minter)
    await eventually('the token in the store', () => stored(stage.redis).generation === 2)
    const since = performance.now()
    await stage.minter.kill()
    await concluded(test, stage, { minted: 2, since, withinMs: 2_000 })
  })
})

describe('a minter that is stopped past its lease', { skip: skipReason, concurrency: 2 }, () => {
  it('while its answer waits for it: it takes its successor’s token and mints no more', async (test) => {
    const stage = await prepare(test)
    stage.sandbox.faults.add({ api: 'token', kind: 'slow', ms: 300, count: 1 })
    askToRotate(stage.minter)
    await requestThat(stage.sandbox, 2, () => true)
    const since = performance.now()
    stage.minter.signal('SIGSTOP')
    await requestThat(stage.sandbox, 3, ({ answeredAt }) => answeredAt !== null)
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
    await assertFleet(test, stage, [stage.load], { minted: 3 })
  })

  it('before its request: it does not send it when it goes on', async (test) => {
    const stage = await prepare(test, true)
    askToRotate(stage.minter)
    await stage.wire.announced
    stage.minter.signal('SIGSTOP')
    stage.wire.release()
    // Longer than the lease of 3.5 s; a successor mints meanwhile.
    await sleep(4_000)
    const [second] = stage.others
    assert.ok(second)
    const since = performance.now()
    const headers = { 'x-sidecar-request': '1' }
    assert.equal((await second.ask('/rotate', { method: 'POST', headers })).status, 200)
    stage.minter.signal('SIGCONT')
    await agreement(stage.sandbox, [stage.minter])
    await concluded(test, stage, { minted: 2, since, withinMs: HOLD_TIMEOUT_MS })
  })
})

/** `held`: the minter will be stuck between announcing a rotation and sending its request. */
async function prepare(test: TestContext, held = false): Promise<Stage> {
  const fleet = await startFleet(test, { replicas: 2 })
  const wire = await wireTo(test, fleet.redis)
  const [minter] = await startReplicas(
    test,
    { ...fleet.settings, ...(held ? { TOKEN_STORE: wire.url } : {}) },
    1,
  )
  assert.ok(minter)
  const load = loadOn(test, fleet.sidecars, 6)
  await load.more(50)
  return { ...fleet, minter, others: fleet.sidecars, wire, load }
}

/** All agree within a time since the deed, with so many mints, and no call failed. */
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
  await assertFleet(test, stage, [stage.load], { minted: expected.minted })
}
