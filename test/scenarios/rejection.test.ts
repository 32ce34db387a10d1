import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sandboxFor } from '../sandbox/client.ts'
import { type CallPlan, echo, makeCall } from '../support/load.ts'
import { assertAllWell, failuresOf, latencyReport, startRecordedLoad } from '../support/load-record.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import { rotateAt } from './fleet-setup.ts'
import { assertOneAtATime, assertTokenRequests, eventually, mintTimes, settingsFor } from './setup.ts'

describe('a token that calls are rejected with', { concurrency: 2 }, () => {
  it('is replaced when somebody else minted, which is counted, and no call fails', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 20 })
    for (const times of [1, 2, 3]) {
      await load.more(50)
      sandbox.foreignMint()
      await eventually(
        `foreign mint ${times} is counted`,
        async () => (await sidecar.metric('token_sidecar_foreign_mints_total')) === times,
      )
    }
    await load.more(50)
    await load.stop()

    assertAllWell(load.outcomes)
    assertTokenRequests(sandbox, { requests: 4, minted: 4 })
    assert.equal(sidecar.lines('foreign_mint')[0]?.level, 'warn')
    assert.ok((await sidecar.metric('token_sidecar_replays_total', { outcome: 'accepted' })) >= 3)
  })

  it('is replaced twice under one call when somebody mints in the moment of a rotation', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    sandbox.faults.add({ api: 'business', kind: 'latency', path: '/echo/slow', ms: 1_500 })
    const slow = Array.from({ length: 10 }, () =>
      makeCall(sidecar.url, { ...echo(1), path: '/echo/slow' }, false),
    )
    await eventually('the calls are under way', async () => (await inFlight(sidecar)) === slow.length)
    sandbox.faults.add({ api: 'token', kind: 'foreign-mint', count: 1 })
    const rotated = await rotateAt(sidecar)

    assertAllWell(await Promise.all(slow))
    assert.equal(rotated.status, 200)
    assertTokenRequests(sandbox, { requests: 3, minted: 3 })
    assert.equal(await sidecar.metric('token_sidecar_replays_total', { outcome: 'accepted' }), slow.length)
  })

  it('is replaced for a call that was sent before another one was accepted and judged after the token had died', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    sandbox.faults.add({ api: 'business', kind: 'latency', path: '/echo/slow', ms: 600 })
    const slow = makeCall(sidecar.url, { ...echo(1), path: '/echo/slow' }, false)
    await eventually('the slow call is under way', async () => (await inFlight(sidecar)) === 1)
    const quick = await makeCall(sidecar.url, echo(2), false)
    sandbox.foreignMint()

    assertAllWell([quick, await slow])
    assertTokenRequests(sandbox, { requests: 2, minted: 2 })
  })

  it('is not replaced more often than MINT_MIN_INTERVAL in 10,000 calls to an endpoint that rejects every token', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox, { MINT_MIN_INTERVAL: '2s' }))
    await sidecar.ready()
    const began = performance.now()
    const good = startRecordedLoad(test, { urls: [sidecar.url], parallel: 10 })
    const bad = startRecordedLoad(test, {
      urls: [sidecar.url],
      parallel: 40,
      pauseMs: 0,
      plan: () => rejecting,
    })
    await bad.more(10_000)
    await Promise.all([good.stop(), bad.stop()])

    assertAllWell(good.outcomes)
    assert.deepEqual(failuresOf(bad.outcomes), {}, 'the upstream’s own 401 is passed on')
    assertOneAtATime(sandbox)
    const mints = mintTimes(sandbox)
    const extra = mints.length - 1
    const seconds = (performance.now() - began) / 1_000
    const allowed = 1 + Math.floor(seconds / 2)
    assert.ok(extra <= allowed, `${extra} extra mints, ${allowed} allowed`)
    test.diagnostic(
      `${bad.outcomes.length} rejected calls in ${seconds.toFixed(1)} s: ${extra} extra mints; beside them ${latencyReport(good.outcomes, mints)}`,
    )
  })

  it('costs ever fewer mints when nothing but rejections comes back', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const began = performance.now()
    const bad = startRecordedLoad(test, { urls: [sidecar.url], parallel: 10, plan: () => rejecting })
    await eventually('six seconds of rejections', () => performance.now() - began > 6_000)
    await bad.stop()

    assert.deepEqual(failuresOf(bad.outcomes), {}, 'the upstream’s own 401 is passed on')
    assertOneAtATime(sandbox)
    // At once, then after pauses of 1, 2 and 4 seconds.
    assert.ok(mintTimes(sandbox).length - 1 <= 3, `${mintTimes(sandbox).length - 1} extra mints`)
  })

  it('is replaced for a call whose 403 means a dead token where REJECTED_STATUS says so', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(
      test,
      settingsFor(sandbox, { REJECTED_STATUS: '401,403', TOKEN_HEADER: 'x-clear-auth-token' }),
    )
    await sidecar.ready()
    sandbox.foreignMint()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 5, plan: oneIntegration })
    await load.more(50)
    await load.stop()

    assertAllWell(load.outcomes)
    assertTokenRequests(sandbox, { requests: 2, minted: 2 })
  })
})

/** An endpoint whose 401 has nothing to do with the token. */
const rejecting: CallPlan = {
  method: 'GET',
  path: '/status/401',
  check: (status) => (status === 401 ? null : `status ${status}`),
}

/** The product that documents 403 for a rejected token; whatever else it answers, the token was accepted. */
function oneIntegration(n: number): CallPlan {
  return {
    ...echo(n),
    path: '/one-integration/anything',
    check: (status) => (status === 401 || status === 403 ? `status ${status}` : null),
  }
}

function inFlight(sidecar: Sidecar): Promise<number> {
  return sidecar.metric('token_sidecar_requests_in_flight')
}
