import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sandboxFor, send } from '../sandbox/client.ts'
import { makeCalls } from '../support/load.ts'
import { assertAllWell, longestMs } from '../support/load-record.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import {
  assertTokenRequests,
  eventually,
  HOLD_TIMEOUT_MS,
  isStored,
  settingsFor,
  sharedStore,
  tokenRequests,
} from './setup.ts'

describe('starting and restarting', { concurrency: 2 }, () => {
  it('becomes ready with one mint and puts the token on calls', async (test) => {
    const sandbox = await sandboxFor(test)
    const began = performance.now()
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    test.diagnostic(`ready ${Math.round(performance.now() - began)} ms after the process was started`)

    assertAllWell(await makeCalls(sidecar.url, 3))
    const { ready, reason, credentials, routes } = await sidecar.status()
    assert.deepEqual({ ready, reason, routes: routes.length }, { ready: true, reason: null, routes: 1 })
    // The token serves a moment before it is stored.
    assert.match(credentials[0]?.state ?? '', /^(fresh|rotating)$/)
    assert.equal(credentials[0]?.fingerprint, sandbox.issuer.clients()[0]?.liveFingerprint)
    assert.equal(await sidecar.metric('token_sidecar_requests_total', { code: '200' }), 3)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('mints once for 200 calls that come before the first token, and fails none of them', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 1_500, count: 1 })
    const sidecar = await startSidecar(test, settingsFor(sandbox, { MINT_TIMEOUT: '4s', HOLD_TIMEOUT: '8s' }))
    const outcomes = await makeCalls(sidecar.url, 200)

    assertAllWell(outcomes)
    const answeredAt = tokenRequests(sandbox)[0]?.answeredAt ?? 0
    assert.ok(outcomes.every(({ startedAt }) => startedAt < answeredAt))
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`is ready again without a mint after ${signal}, with the token it had stored`, async (test) => {
      const sandbox = await sandboxFor(test)
      const settings = settingsFor(sandbox, { TOKEN_STORE: sharedStore() })
      const first = await startSidecar(test, settings)
      await first.ready()
      if (signal === 'SIGTERM') assert.equal(await first.stop(), 0)
      else {
        // A token serves calls before it is stored; what is not stored is lost with the process.
        await eventually('the token is stored', () => isStored(settings, 1))
        await first.kill()
      }

      const began = performance.now()
      const second = await startSidecar(test, settings)
      await second.ready()
      test.diagnostic(`ready ${Math.round(performance.now() - began)} ms after the process was started`)
      assertAllWell(await makeCalls(second.url, 3))
      assert.equal((await second.status()).credentials[0]?.generation, 1)
      assertTokenRequests(sandbox, { requests: 1, minted: 1 })
    })
  }

  it('fails no call of the restarted process when it was killed in its first mint', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 3_000, count: 1 })
    const settings = settingsFor(sandbox, { TOKEN_STORE: sharedStore() })
    const first = await startSidecar(test, settings)
    await eventually('the first mint', () => tokenRequests(sandbox)[0]?.outcome === 'minted')
    await first.kill()

    const second = await startSidecar(test, settings)
    const outcomes = await makeCalls(second.url, 20)
    assertAllWell(outcomes)
    assert.ok(longestMs(outcomes) < HOLD_TIMEOUT_MS)
    assertTokenRequests(sandbox, { requests: 2, minted: 2 })
  })

  it('fails no call of the restarted process when it was killed while it replaced a living token', async (test) => {
    const sandbox = await sandboxFor(test)
    const settings = settingsFor(sandbox, { TOKEN_STORE: sharedStore() })
    const first = await startSidecar(test, settings)
    await first.ready()
    sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 3_000, count: 1 })
    // The answer never comes: the process that was asked is killed.
    const asked = send(`${first.opsUrl}/rotate`, { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    await Promise.all([
      assert.rejects(asked),
      eventually('the second mint', () => tokenRequests(sandbox)[1]?.outcome === 'minted').then(() =>
        first.kill(),
      ),
    ])

    const second = await startSidecar(test, settings)
    const outcomes = await makeCalls(second.url, 20)
    assertAllWell(outcomes)
    assert.ok(longestMs(outcomes) < HOLD_TIMEOUT_MS)
    assertTokenRequests(sandbox, { requests: 3, minted: 3 })
  })

  it('starts without the token API, holds calls, and becomes ready when the API returns', async (test) => {
    const sandbox = await sandboxFor(test, { tokenPort: 0 })
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.logged('mint_failed', ({ code }) => code === 'mint_unreachable')
    assert.equal((await sidecar.ask('/livez')).status, 200)
    assert.equal((await sidecar.ask('/startupz')).status, 200)
    const readiness = await sidecar.ask('/readyz')
    assert.equal(readiness.status, 503)
    assert.match(readiness.json().reason, /no usable token for credential default: .*mint_unreachable/)

    const calls = makeCalls(sidecar.url, 20)
    await eventually(
      'the calls are held',
      async () => (await sidecar.metric('token_sidecar_requests_held')) === 20,
    )
    await sandbox.faults.clear()
    await sidecar.ready()
    assertAllWell(await calls)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })
})
