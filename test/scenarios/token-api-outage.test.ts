import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TokenFault } from '../../sandbox/faults.ts'
import type { GarbageKind } from '../../sandbox/token-answers.ts'
import { sandboxFor } from '../sandbox/client.ts'
import { makeCalls } from '../support/load.ts'
import { assertAllWell, longestMs, startRecordedLoad } from '../support/load-record.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import {
  assertOneAtATime,
  assertTokenRequests,
  eventually,
  HOLD_TIMEOUT_MS,
  settingsFor,
  tokenRequests,
} from './setup.ts'

/** Refreshed at half its life, so that an outage has time to come and go while the token lives. */
const halfway = { tokenLifeMs: 10_000, validTillSpelling: 'fraction', tokenPort: 0 } as const
const REFRESH_LEAD = '5s'

const outages: readonly { readonly name: string; readonly fault: TokenFault; readonly code: string }[] = [
  { name: 'refuses connections', fault: { api: 'token', kind: 'refuse' }, code: 'mint_unreachable' },
  { name: 'answers 500', fault: { api: 'token', kind: 'status', status: 500 }, code: 'mint_status' },
  { name: 'never answers', fault: { api: 'token', kind: 'hang', mints: false }, code: 'mint_timeout' },
  { name: 'resets connections', fault: { api: 'token', kind: 'reset' }, code: 'mint_reset' },
]

describe('a token API that is out of order while the token lives', { concurrency: 4 }, () => {
  for (const { name, fault, code } of outages) {
    it(`fails no call while it ${name}, backs off, and rotates when that is over`, async (test) => {
      const sandbox = await sandboxFor(test, halfway)
      const sidecar = await startSidecar(test, settingsFor(sandbox, { REFRESH_LEAD }))
      await sidecar.ready()
      sandbox.faults.add(fault)
      const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 5, pauseMs: 20 })
      // One that waits for its deadline takes most of the time there is.
      const attempts = fault.kind === 'hang' ? 1 : 2
      await eventually('failed attempts', () => sidecar.lines('mint_failed').length >= attempts)
      await load.more(50)
      assert.equal((await sidecar.ask('/readyz')).status, 200)
      await sandbox.faults.clear()
      await sidecar.logged('token_minted', ({ generation }) => generation === 2)
      await load.more(50)
      await load.stop()

      assertAllWell(load.outcomes)
      assertOneAtATime(sandbox)
      const failures = sidecar.lines('mint_failed')
      assert.deepEqual([...new Set(failures.map((line) => line['code']))], [code])
      assert.ok(failures.length <= 8, `${failures.length} attempts are more than a back-off makes`)
      assert.equal(tokenRequests(sandbox).filter(({ outcome }) => outcome === 'minted').length, 2)
      if (code === 'mint_status') assert.match(String(failures[0]?.['error_id']), /^[0-9a-f]{32}$/)
    })
  }
})

describe('an answer of the token API that is lost or useless', { concurrency: 2 }, () => {
  it('fails no call when the mint took effect and its answer was lost', async (test) => {
    const sandbox = await sandboxFor(test, halfway)
    const sidecar = await startSidecar(test, settingsFor(sandbox, { REFRESH_LEAD }))
    await sidecar.ready()
    sandbox.faults.add({ api: 'token', kind: 'lose-answer', count: 1 })
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 20 })
    await sidecar.logged('token_minted', ({ generation }) => generation === 2)
    await load.more(50)
    await load.stop()

    assertAllWell(load.outcomes)
    assert.ok(longestMs(load.outcomes) < HOLD_TIMEOUT_MS)
    assertTokenRequests(sandbox, { requests: 3, minted: 3 })
    // Our own lost mint is nobody else's.
    assert.equal(await sidecar.metric('token_sidecar_foreign_mints_total'), 0)
    assert.equal(await sidecar.metric('token_sidecar_mints_total', { outcome: 'unknown' }), 1)
  })

  const garbage: readonly GarbageKind[] = ['html', 'truncated-body']
  for (const body of garbage) {
    it(`takes a 200 that is ${body} for a failed mint of unknown effect, and mints again`, async (test) => {
      const sandbox = await sandboxFor(test)
      sandbox.faults.add({ api: 'token', kind: 'garbage', body, count: 1 })
      const sidecar = await startSidecar(test, settingsFor(sandbox))
      const outcomes = await makeCalls(sidecar.url, 10)

      assertAllWell(outcomes)
      assert.ok(longestMs(outcomes) < HOLD_TIMEOUT_MS)
      assertTokenRequests(sandbox, { requests: 2, minted: 2 })
      const [first, second] = tokenRequests(sandbox)
      const pauseMs = (second?.startedAt ?? 0) - (first?.processedAt ?? 0)
      assert.ok(pauseMs >= 450, `the quarantine is kept: ${pauseMs} ms`)
    })
  }
})
