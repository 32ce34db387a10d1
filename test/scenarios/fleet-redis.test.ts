import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sandboxFor } from '../sandbox/client.ts'
import { assertAllWell, failuresOf, latencyReport, longestMs } from '../support/load-record.ts'
import { skipReason, startRedisServer } from '../support/redis-server.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { agreement, assertFleet, loadOn, logsOf, startFleet, startReplicas, stored } from './fleet-setup.ts'
import {
  assertOneAtATime,
  assertOneMintEachLife,
  eventually,
  HOLD_TIMEOUT_MS,
  mintTimes,
  settingsFor,
  tokenRequests,
} from './setup.ts'

/** `REPLICAS=16 MINUTES=2 LIFE_MS=5000 PATIENCE_MS=60000` is the long variant of the first two scenarios. */
const replicas = Number(process.env['REPLICAS'] ?? 4)
const durationMs = Number(process.env['MINUTES'] ?? 0.2) * 60_000
const LIFE_MS = Number(process.env['LIFE_MS'] ?? 4_000)
/** When many replicas start at once on a busy machine, an answer of the token API may take seconds; only a lost one is asked for again. */
const patient = { MINT_TIMEOUT: '4s', HOLD_TIMEOUT: '8s' }

describe('a fleet that shares its token through Redis', { skip: skipReason, concurrency: 2 }, () => {
  it(`of ${replicas} mints once for each rotation and fails no call`, async (test) => {
    const sandbox = { tokenLifeMs: LIFE_MS, validTillSpelling: 'fraction' } as const
    const fleet = await startFleet(test, { replicas, sandbox, env: patient })
    const atStart = tokenRequests(fleet.sandbox)
    if (atStart.length !== 1) test.diagnostic(`${JSON.stringify(atStart)}\n${logsOf(fleet.sidecars)}`)
    assert.equal(atStart.length, 1, 'all started at once in front of an empty store')
    const load = loadOn(test, fleet.sidecars, 2 * replicas)
    await sleep(durationMs)
    await load.stop()
    const times = mintTimes(fleet.sandbox)
    test.diagnostic(latencyReport(load.outcomes, times))
    await assertFleet(test, fleet, [load], { minted: times.length })
    assertOneMintEachLife(fleet.sandbox, LIFE_MS)
    assert.ok(times.length >= Math.floor(durationMs / LIFE_MS), `${times.length} tokens were minted`)
    assert.ok(longestMs(load.outcomes) < HOLD_TIMEOUT_MS)
    for (const sidecar of fleet.sidecars)
      assert.equal(await sidecar.metric('token_sidecar_foreign_mints_total'), 0)
    await agreement(fleet.sandbox, fleet.sidecars)
  })

  it('needs no mint for a rolling restart of all', async (test) => {
    const fleet = await startFleet(test, { replicas, env: patient })
    const running = fleet.sidecars.map((sidecar) => ({ sidecar, load: loadOn(test, [sidecar], 2) }))
    const loads = running.map(({ load }) => load)
    for (const [index, { sidecar, load }] of running.entries()) {
      await load.more(20)
      // An app is stopped before its sidecar, and started after it.
      await load.stop()
      assert.equal(await sidecar.stop(), 0)
      const [next] = await startReplicas(test, fleet.settings, 1)
      assert.ok(next)
      running[index] = { sidecar: next, load: loadOn(test, [next], 2) }
    }
    const later = running.map(({ load }) => load)
    await Promise.all(later.map((load) => load.more(20)))
    await assertFleet(test, fleet, [...loads, ...later], { minted: 1 })
    await agreement(
      fleet.sandbox,
      running.map(({ sidecar }) => sidecar),
    )
  })

  it('goes on with its living token while Redis is frozen, gone, back and empty, and gives the token back', async (test) => {
    const fleet = await startFleet(test, { env: patient })
    const load = loadOn(test, fleet.sidecars)
    await load.more(100)

    fleet.redis.freeze()
    await Promise.all(fleet.sidecars.map((sidecar) => sidecar.logged('store_unreachable')))
    await load.more(100)
    fleet.redis.thaw()
    await allStores(fleet.sidecars, true)
    assert.equal(stored(fleet.redis).generation, 1)

    fleet.redis.cli('FLUSHALL')
    await eventually('the token is back after FLUSHALL', () => stored(fleet.redis).generation === 1)

    await fleet.redis.kill()
    await allStores(fleet.sidecars, false)
    await load.more(100)
    await fleet.redis.restart()
    await eventually('the token is back after the restart', () => stored(fleet.redis).generation === 1)
    await allStores(fleet.sidecars, true)
    for (const sidecar of fleet.sidecars) assert.equal((await sidecar.ask('/readyz')).status, 200)
    await assertFleet(test, fleet, [load], { minted: 1 })
    const told = fleet.sidecars.flatMap((sidecar) => sidecar.lines('store_behind'))
    assert.ok(told.length >= 2)
  })

  it('rotates again as soon as Redis is back, when it was away at the time for it', async (test) => {
    const sandbox = { tokenLifeMs: 10_000, validTillSpelling: 'fraction' } as const
    const fleet = await startFleet(test, { sandbox, env: { ...patient, REFRESH_LEAD: '5s' } })
    const load = loadOn(test, fleet.sidecars)
    await fleet.redis.kill()
    await sleep(6_000)
    assert.equal(tokenRequests(fleet.sandbox).length, 1, 'nobody mints without the store')
    await fleet.redis.restart()
    await requestsReach(fleet.sandbox, 2)
    const tookMs = await agreement(fleet.sandbox, fleet.sidecars)
    test.diagnostic(`agreement ${tookMs.toFixed(0)} ms after the mint`)
    assert.ok(tookMs < HOLD_TIMEOUT_MS)
    await assertFleet(test, fleet, [load], { minted: 2 })
  })

  it('takes over a new client secret replica by replica, with one mint and no failed call', async (test) => {
    const clients = [
      { name: 'old', secret: 'old-secret' },
      { name: 'new', secret: 'new-secret' },
    ]
    const sandbox = await sandboxFor(test, { clients })
    const redis = await startRedisServer(test)
    const directory = tempDir()
    const files = [0, 1, 2, 3].map((n) => join(directory, `secret-${n}`))
    const sidecars = await Promise.all(
      files.map((CLIENT_SECRET_FILE) => {
        writeFileSync(CLIENT_SECRET_FILE, 'old-secret')
        return startSidecar(test, settingsFor(sandbox, { CLIENT_SECRET_FILE, TOKEN_STORE: redis.url() }))
      }),
    )
    await Promise.all(sidecars.map((sidecar) => sidecar.ready()))
    const load = loadOn(test, sidecars)
    for (const [index, file] of files.entries()) {
      await load.more(40)
      writeFileSync(file, 'new-secret')
      await sidecars[index]?.logged('secret_changed')
    }
    const tookMs = await agreement(sandbox, sidecars, 1)
    await load.more(40)
    await load.stop()
    test.diagnostic(`agreement ${tookMs.toFixed(0)} ms after the last file`)
    assertAllWell(load.outcomes)
    assert.deepEqual([tokenRequests(sandbox, 'old').length, tokenRequests(sandbox, 'new').length], [1, 1])
    assertOneAtATime(sandbox)
  })

  it('slows down when another fleet with another store fights over the same secret, and says so', async (test) => {
    const ours = await startFleet(test, { replicas: 2, sandbox: { tokenLifeMs: null } })
    const other = await startRedisServer(test)
    const theirs = await startReplicas(test, { ...ours.settings, TOKEN_STORE: other.url() }, 2)
    const all = [...ours.sidecars, ...theirs]
    const load = loadOn(test, all)
    await sleep(12_000)
    await load.stop()
    const times = mintTimes(ours.sandbox)
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
    const foreign = await Promise.all(
      all.map((sidecar) => sidecar.metric('token_sidecar_foreign_mints_total')),
    )
    const shares = failuresOf(load.outcomes)
    test.diagnostic(
      `mints ${gaps.join(', ')} ms apart; foreign mints noticed ${foreign}; failed ${JSON.stringify(shares)}`,
    )
    assert.ok(foreign.reduce((sum, count) => sum + count, 0) > 0)
    // MINT_MIN_INTERVAL of a second holds for each fleet from the start; unchecked, each rejection would cause a mint.
    // That the pauses grow is shown with a clock that stands still, in test/token/rejections.test.ts.
    assert.ok(times.length <= 2 + 2 * 12, `${times.length} mints in 12 s`)
    assert.deepEqual(
      Object.keys(shares).filter((cause) => cause !== 'status 401'),
      [],
    )
  })
})

async function allStores(sidecars: readonly { status: () => Promise<unknown> }[], healthy: boolean) {
  await eventually(`all find the store ${healthy ? 'healthy' : 'unreachable'}`, async () => {
    const states = (await Promise.all(sidecars.map((sidecar) => sidecar.status()))) as {
      credentials: { store: { healthy: boolean } }[]
    }[]
    return states.every(({ credentials }) => credentials[0]?.store.healthy === healthy)
  })
}

async function requestsReach(sandbox: Parameters<typeof tokenRequests>[0], count: number): Promise<void> {
  await eventually(`token request ${count}`, () => tokenRequests(sandbox).length >= count)
}
