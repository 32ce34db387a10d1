import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sandboxFor } from '../sandbox/client.ts'
import { assertAllWell, startRecordedLoad } from '../support/load-record.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { assertTokenRequests, eventually, mintTimes, settingsFor } from './setup.ts'

describe('a token that never expires', { concurrency: 2 }, () => {
  it('is never refreshed', async (test) => {
    const sandbox = await sandboxFor(test, { tokenLifeMs: null })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 2 })
    await eventually('some ticks have passed', async () => (await sidecar.status()).uptime_s >= 3)
    await load.stop()

    assertAllWell(load.outcomes)
    const [credential] = (await sidecar.status()).credentials
    assert.equal(credential?.state, 'fresh')
    assert.equal(credential?.valid_till, null)
    assert.equal(credential?.next_refresh_at, null)
    const until = await sidecar.metric('token_sidecar_token_valid_until_timestamp_seconds')
    assert.equal(until, Number.POSITIVE_INFINITY)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('is rotated by ROTATE_SCHEDULE without failing a call', async (test) => {
    const sandbox = await sandboxFor(test, { tokenLifeMs: null })
    const sidecar = await startSidecar(test, settingsFor(sandbox, { ROTATE_SCHEDULE: '*/3 * * * * *' }))
    await sidecar.ready()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 20 })
    await eventually('two scheduled rotations', () => mintTimes(sandbox).length >= 3)
    await load.stop()

    assertAllWell(load.outcomes)
    const minted = sidecar.lines('token_minted').map(({ reason }) => reason)
    assert.deepEqual(minted, ['missing', 'scheduled', 'scheduled'])
    assertTokenRequests(sandbox, { requests: 3, minted: 3 })
  })
})
