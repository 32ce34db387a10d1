import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Sandbox, SandboxOptions } from '../../sandbox/server.ts'
import { sandboxFor } from '../sandbox/client.ts'
import { echo, type LoadOptions, upload } from '../support/load.ts'
import { assertAllWell, latencyReport, longestMs, startRecordedLoad } from '../support/load-record.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import {
  assertOneMintEachLife,
  assertTokenRequests,
  eventually,
  HOLD_TIMEOUT_MS,
  mintTimes,
  settingsFor,
  sharedStore,
} from './setup.ts'

const LIFE_MS = 2_500
/** To the millisecond, as whole seconds would take up to a third off such a short life. */
const shortLived: SandboxOptions = { tokenLifeMs: LIFE_MS, validTillSpelling: 'fraction' }

describe('rotation under load', { concurrency: 2 }, () => {
  it('fails no call of 24 in parallel while tokens of 2.5 seconds follow each other, one mint each', async (test) => {
    const sandbox = await sandboxFor(test, shortLived)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await rotateUnder(test, sandbox, [sidecar], { parallel: 24 }, 4)
    assert.equal(await sidecar.metric('token_sidecar_foreign_mints_total'), 0)
    assert.equal(await sidecar.metric('token_sidecar_unreplayable_total'), 0)
  })

  it('fails no upload that cannot be replayed, large or of unknown length', async (test) => {
    const sandbox = await sandboxFor(test, shortLived)
    const sidecar = await startSidecar(test, settingsFor(sandbox, { REPLAY_BODY_LIMIT: '64KiB' }))
    const large = upload(Buffer.alloc(256 * 1024, 'invoice'))
    const unknown = upload(Buffer.alloc(80 * 1024, 'invoice'), true)
    const plan = (n: number) => [large, unknown, echo(n)][n % 3] ?? large
    await rotateUnder(test, sandbox, [sidecar], { parallel: 6, plan }, 3)
  })

  for (const count of [2, 4]) {
    it(`needs one mint for each rotation of ${count} processes that share the file store, and fails no call`, async (test) => {
      const sandbox = await sandboxFor(test, shortLived)
      const settings = settingsFor(sandbox, { TOKEN_STORE: sharedStore() })
      const sidecars = await Promise.all(Array.from({ length: count }, () => startSidecar(test, settings)))
      await rotateUnder(test, sandbox, sidecars, { parallel: 12 }, 3)

      const live = sandbox.issuer.clients()[0]?.generation
      await eventually('all hold the live token', async () => {
        const states = await Promise.all(sidecars.map((sidecar) => sidecar.status()))
        return states.every(({ credentials }) => credentials[0]?.generation === live)
      })
    })
  }

  it('rotates when asked to, without failing a call', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 20 })
    await load.more(100)
    const headers = { 'x-sidecar-request': '1' }
    const answer = await sidecar.ask('/rotate', { method: 'POST', headers })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.json().generation, 2)
    assert.equal(answer.json().fingerprint, sandbox.issuer.clients()[0]?.liveFingerprint)
    await load.more(100)
    await load.stop()

    assert.equal((await sidecar.ask('/rotate', { method: 'POST' })).status, 403)
    assertAllWell(load.outcomes)
    assertTokenRequests(sandbox, { requests: 2, minted: 2 })
  })
})

/** Runs load through all of them until so many tokens were minted; no call may fail or be held for long. */
async function rotateUnder(
  test: TestContext,
  sandbox: Sandbox,
  sidecars: readonly Sidecar[],
  options: Pick<LoadOptions, 'parallel' | 'plan'>,
  tokens: number,
): Promise<void> {
  await Promise.all(sidecars.map((sidecar) => sidecar.ready()))
  const load = startRecordedLoad(test, { ...options, urls: sidecars.map(({ url }) => url) })
  await eventually(`mint ${tokens}`, () => mintTimes(sandbox).length >= tokens)
  await load.more(100)
  await load.stop()

  assertAllWell(load.outcomes)
  assertOneMintEachLife(sandbox, LIFE_MS)
  assert.ok(longestMs(load.outcomes) < HOLD_TIMEOUT_MS)
  test.diagnostic(latencyReport(load.outcomes, mintTimes(sandbox)))
}
