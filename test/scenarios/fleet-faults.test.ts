import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sandboxFor } from '../sandbox/client.ts'
import { assertAllWell, type RecordedLoad } from '../support/load-record.ts'
import { skipReason, startRedisServer } from '../support/redis-server.ts'
import type { Sidecar } from '../support/sidecar-process.ts'
import {
  agreement,
  askToRotate,
  assertFleet,
  loadOn,
  requestThat,
  rotateAt,
  startFleet,
  startReplicas,
} from './fleet-setup.ts'
import { assertOneAtATime, HOLD_TIMEOUT_MS, mintTimes, settingsFor, tokenRequests } from './setup.ts'

describe('a fleet on Redis', { skip: skipReason, concurrency: 2 }, () => {
  it('agrees on a new token, with one mint and no failed call, while its subscriptions are cut again and again', async (test) => {
    const { sandbox, redis, sidecars } = await startFleet(test, { replicas: 3 })
    const load = loadOn(test, sidecars, 6)
    await load.more(50)
    const before = tokenRequests(sandbox).length
    const admin = connect(redis.port, '127.0.0.1').resume()
    const cut = setInterval(() => admin.write('CLIENT KILL TYPE pubsub\r\n'), 100)
    test.after(() => {
      clearInterval(cut)
      admin.destroy()
    })
    askToRotate(sidecars[0] as Sidecar)
    await requestThat(sandbox, before + 1, ({ processedAt }) => processedAt !== null)
    const tookMs = await agreement(sandbox, sidecars)
    clearInterval(cut)
    test.diagnostic(`agreement ${tookMs.toFixed(0)} ms after the mint`)
    assert.ok(tookMs < HOLD_TIMEOUT_MS)
    await load.more(50)
    await assertFleet(test, { sandbox }, [load], { minted: before + 1 })
  })

  it('says why a rotation failed, and not why an earlier one did', async (test) => {
    const { sandbox, redis, sidecars } = await startFleet(test, { replicas: 1 })
    const sidecar = sidecars[0] as Sidecar
    const code = async () => {
      const answer = await rotateAt(sidecar)
      return answer.status === 200 ? 'minted' : answer.json().code
    }
    sandbox.faults.add({ api: 'token', kind: 'status', status: 401, count: 1 })
    assert.equal(await code(), 'mint_secret_rejected')
    assert.equal(await code(), 'minted')
    await redis.kill()
    assert.equal(await code(), 'token_unavailable')
  })

  it('mints once for each rotation, though the clocks of its replicas are an hour apart', async (test) => {
    const LIFE_MS = 10_000
    const LEAD_MS = 3_000
    const sandbox = await sandboxFor(test, { tokenLifeMs: LIFE_MS, validTillSpelling: 'fraction' })
    const redis = await startRedisServer(test)
    const settings = settingsFor(sandbox, { TOKEN_STORE: redis.url(), REFRESH_LEAD: `${LEAD_MS}ms` })
    const fleets = await Promise.all(
      [-3_600_000, 0, 3_600_000].map((shiftMs) =>
        startReplicas(test, { ...settings, ...withClockShifted(shiftMs) }, 1),
      ),
    )
    const sidecars = fleets.flat()
    const hours = sidecars.map(({ log }) => Date.parse(log[0]?.time ?? '') - Date.now())
    for (const [index, hour] of [-1, 0, 1].entries()) {
      assert.ok(Math.abs((hours[index] ?? 0) - hour * 3_600_000) < 60_000, 'its clock was set')
    }
    const load = loadOn(test, sidecars, 6)
    await sleep(2.5 * LIFE_MS)
    await load.stop()
    const times = mintTimes(sandbox)
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
    test.diagnostic(`mints ${gaps.join(', ')} ms apart`)
    assert.ok(times.length >= 3, `${times.length} tokens were minted`)
    // `Date` and Redis' clock are compared to a second: a lead may be half of one off.
    for (const gapMs of gaps) assert.ok(gapMs >= LIFE_MS - LEAD_MS - 1_000, `${gapMs} ms`)
    assert.equal(sandbox.gate.counters.rejected.expired, 0)
    await agreement(sandbox, sidecars)
    await assertFleet(test, { sandbox }, [load], { minted: times.length })
  })

  it('goes over to a new client secret in a rolling restart, with one mint and no failed call', async (test) => {
    const clients = [
      { name: 'old', secret: 'old-secret' },
      { name: 'new', secret: 'new-secret' },
    ]
    const sandbox = await sandboxFor(test, { clients })
    const redis = await startRedisServer(test)
    const withSecret = (CLIENT_SECRET: string) =>
      settingsFor(sandbox, { CLIENT_SECRET, TOKEN_STORE: redis.url() })
    const replicas = await startReplicas(test, withSecret('old-secret'), 3)
    const running = replicas.map((sidecar) => ({ sidecar, load: loadOn(test, [sidecar], 2) }))
    const loads: RecordedLoad[] = running.map(({ load }) => load)
    for (const [index, { sidecar, load }] of running.entries()) {
      await load.more(20)
      // An app is stopped before its sidecar, and started after it.
      await load.stop()
      assert.equal(await sidecar.stop(), 0)
      const [next] = await startReplicas(test, withSecret('new-secret'), 1)
      assert.ok(next)
      running[index] = { sidecar: next, load: loadOn(test, [next], 2) }
      loads.push(running[index].load)
    }
    const tookMs = await agreement(
      sandbox,
      running.map(({ sidecar }) => sidecar),
      1,
    )
    await Promise.all(running.map(({ load }) => load.more(20)))
    await Promise.all(loads.map((load) => load.stop()))
    const outcomes = loads.flatMap((load) => load.outcomes)
    test.diagnostic(`${outcomes.length} calls; agreement ${tookMs.toFixed(0)} ms after the last start`)
    assertAllWell(outcomes)
    assert.deepEqual([tokenRequests(sandbox, 'old').length, tokenRequests(sandbox, 'new').length], [1, 1])
    assertOneAtATime(sandbox)
  })
})

function withClockShifted(shiftMs: number): Record<string, string> {
  const program = new URL('../support/clock-shift.mjs', import.meta.url).href
  return { NODE_OPTIONS: `--import=${program}`, CLOCK_SHIFT_MS: String(shiftMs) }
}
