import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc, SEED } from '../support/fast-check.ts'
import { HOUR, MINUTE, policy, SECOND } from './machine-driver.ts'
import { fates, happen, happenings } from './model/faults.ts'
import { type CallPlan, Fleet, type FleetOptions, plainCall } from './model/fleet.ts'
import type { Fate } from './model/token-api.ts'

const NOON = Date.parse('2026-11-22T12:00:00Z')

/**
 * The same two series of runs each time; fast-check prints seed and path of a run that fails. `MODEL_RUNS=100
 * FUZZ_SEED=random` makes a hundred times as many, all new: for whoever changes the machine.
 */
const TIMES = Number(process.env['MODEL_RUNS'] ?? 1)
const SEEDS = TIMES > 1 ? [SEED] : [SEED, SEED + 1]

/** After this the calls of a fleet whose faults have ended succeed: the longest pause that 90 s of faults can lead to. */
const RECOVERED_MS = 5 * MINUTE

for (const seed of SEEDS) {
  const holds = <Ts extends unknown[]>(title: string, numRuns: number, property: fc.IAsyncProperty<Ts>) =>
    test(`${title} (seed ${seed})`, () => fc.assert(property, { seed, numRuns: numRuns * TIMES }))

  holds(
    'whatever fails, one request at most may be taking effect, waits end, no expired token is handed out, the store never goes back, ' +
      'and soon after all is well again calls succeed and nothing is minted',
    15,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(null, 3 * HOUR, 24 * HOUR),
      fc.array(fc.integer({ min: -HOUR, max: HOUR }), { maxLength: 3 }),
      fc.array(fates, { maxLength: 12 }),
      fc.array(happenings, { maxLength: 40 }),
      fc.integer({ min: 300, max: 90_000 }),
      fc.integer(),
      async (size, lifeMs, offsets, given, planned, everyMs, random) => {
        const fleet = fleetOf({ size, lifeMs }, random)
        fleet.api.fates = [...given]
        fleet.start(offsets)
        for (const happening of planned) fleet.world.in(happening.at, () => happen(fleet, happening))
        await callEvery(fleet, everyMs, 90 * SECOND)
        fleet.api.fates = []
        Object.assign(fleet, { storeFault: 'none', storeDelayMs: 0, hintsLost: false })
        const calm = fleet.world.time
        const last = await callEvery(fleet, 5 * SECOND, RECOVERED_MS)
        const { mints } = fleet.api
        await callEvery(fleet, 5 * SECOND, 30 * SECOND)
        assert.deepEqual(
          unhappy(fleet, last),
          [],
          `in the end, ${fleet.world.time - calm} ms after the faults`,
        )
        assert.equal(fleet.api.mints, mints, 'mints in the end')
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'stopped at any moment, a fleet leaves no timer behind, and a token whose answer came is in the store for the next one',
    20,
    fc.asyncProperty(
      fc.array(fates, { maxLength: 4 }),
      fc.array(happenings, { maxLength: 10 }),
      fc.integer({ min: 0, max: 30_000 }),
      fc.integer(),
      async (given, planned, stopAt, random) => {
        const fleet = fleetOf({ size: 1, lifeMs: null }, random)
        fleet.api.fates = [...given]
        fleet.start()
        for (const happening of planned.filter(({ at }) => at < stopAt))
          fleet.world.in(happening.at, () => happen(fleet, { ...happening, replica: 0 }))
        await fleet.world.pass(stopAt)
        Object.assign(fleet, { storeFault: 'none', storeDelayMs: 0 })
        const held = fleet.managers[0]
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
        const { generation, fingerprint } = held?.status() ?? {}
        fleet.restart(0)
        await fleet.world.pass(10)
        if (generation) assert.equal(fleet.managers[0]?.status().fingerprint, fingerprint)
      },
    ),
  )

  holds(
    'a process that falls asleep between lease and mint does not wake to revoke its successor’s token',
    12,
    fc.asyncProperty(
      fc.integer({ min: 10, max: 240 }),
      fc.integer({ min: 7_000, max: 13_000 }),
      fc.boolean(),
      fc.integer(),
      async (afterMs, forMs, monoStops, random) => {
        const fleet = fleetOf({ size: 2, lifeMs: null }, random)
        fleet.start()
        await fleet.world.pass(SECOND)
        fleet.api.fates = [{ kind: 'ok', thereMs: 4_000, backMs: 20 }]
        happen(fleet, { kind: 'doze', at: 0, replica: 0, afterMs, forMs, monoStops })
        fleet.world.in(afterMs, () => fleet.rotate(1))
        await callEvery(fleet, SECOND, MINUTE)
        assert.deepEqual(fleet.faults, [])
        assert.deepEqual(unhappy(fleet, 30 * SECOND), [])
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'a planned rotation costs one mint, and no call sees a rejection',
    8,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(callPlans(120), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 10, max: 200 }),
      fc.integer(),
      async (size, plans, everyMs, random) => {
        const fleet = fleetOf({ size, lifeMs: 10 * MINUTE }, random)
        fleet.start()
        await fleet.world.pass(9 * MINUTE - 2 * SECOND)
        assert.equal(fleet.api.mints, 1)
        await callEvery(fleet, everyMs, 12 * SECOND, plans)
        assert.equal(fleet.api.mints, 2)
        assert.deepEqual(
          fleet.calls.filter(({ end, rejections }) => end !== 'accepted' || rejections > 0),
          [],
        )
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'an endpoint that always says 401 beside good calls costs one mint for each interval at most, at growing pauses, and no good call',
    4,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 300, max: 3_000 }),
      fc.integer({ min: 300, max: 3_000 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer(),
      async (size, goodEveryMs, badEveryMs, callMs, random) => {
        const fleet = fleetOf({ size, lifeMs: null }, random)
        fleet.start()
        await fleet.world.pass(SECOND)
        const plan = { ...plainCall, thereMs: callMs, backMs: callMs }
        const bad = callEvery(fleet, badEveryMs, 5 * MINUTE, [{ ...plan, endpoint: 'bad' }], false)
        await callEvery(fleet, goodEveryMs, 5 * MINUTE, [plan])
        await bad
        const failed = fleet.calls.filter(
          ({ plan: { endpoint }, end }) => endpoint === 'good' && end !== 'accepted',
        )
        assert.deepEqual(failed, [])
        const at = fleet.minted.map((mint) => mint.at)
        for (const [index, instant] of at.slice(2).entries())
          assert.ok(instant - (at[index + 1] ?? 0) >= policy.mintMinIntervalMs, `minted at ${at}`)
        const last = (at.at(-1) ?? 0) - (at.at(-2) ?? 0)
        assert.ok(at.length < 3 || last >= 2 * policy.mintMinIntervalMs, `minted at ${at}`)
        for (const manager of fleet.managers) assert.equal(manager.status().foreignMints, 0)
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'with every token rejected, a flood of calls costs one mint for each interval at most, at pauses that double',
    3,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 200, max: 1_000 }),
      fc.integer(),
      async (size, everyMs, random) => {
        const fleet = fleetOf({ size, lifeMs: null }, random)
        fleet.start()
        await fleet.world.pass(SECOND)
        await callEvery(fleet, everyMs, 5 * MINUTE, [{ ...plainCall, endpoint: 'bad' }])
        const at = fleet.minted.map((mint) => mint.at)
        assert.ok(at.length <= 1 + 5, `minted at ${at}`)
        for (const [index, instant] of at.slice(2).entries())
          assert.ok(instant - (at[index + 1] ?? 0) >= policy.mintMinIntervalMs, `minted at ${at}`)
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'a process restarted while the stored token lives never mints',
    8,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(null, 2 * HOUR),
      fc.array(fc.tuple(fc.nat(60_000), fc.nat(2)), { minLength: 1, maxLength: 20 }),
      fc.integer(),
      async (size, lifeMs, restarts, random) => {
        const fleet = fleetOf({ size, lifeMs }, random)
        fleet.start()
        await fleet.world.pass(SECOND)
        for (const [at, replica] of restarts) fleet.world.in(at, () => fleet.restart(replica))
        await callEvery(fleet, 500, 70 * SECOND)
        assert.equal(fleet.api.mints, 1)
        assert.ok(fleet.calls.every(({ end }) => end === 'accepted' || end === 'killed'))
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'the automatic requests of a UTC day never exceed the budget, whatever fails, and the next day has its own',
    5,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom<Fate['kind']>('500-before', '500-after', 'drop', 'garbage', 'refuse', '401', '429'),
      fc.array(fc.nat(10 * MINUTE), { maxLength: 5 }),
      fc.integer(),
      async (size, kind, restarts, random) => {
        const mintDailyBudget = 12
        const startsAt = Date.parse('2026-11-22T23:50:00Z')
        const fleet = fleetOf(
          { size, lifeMs: null, startsAt, policy: { ...policy, mintDailyBudget } },
          random,
        )
        fleet.api.fates = Array.from({ length: 1_000 }, () => ({ kind, thereMs: 20, backMs: 20 }))
        fleet.start()
        for (const at of restarts) fleet.world.in(at, () => fleet.restart(at))
        await callEvery(fleet, 10 * SECOND, 20 * MINUTE)
        const days = [...fleet.api.perDay]
        assert.ok(
          days.every(([, count]) => count <= mintDailyBudget),
          JSON.stringify(days),
        )
        assert.equal(days.length, 2, 'the new day has begun with a request')
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )

  holds(
    'tokens of a few seconds’ life are renewed in time for calls, at most once a second',
    5,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer(),
      async (size, lifeMs, random) => {
        const fleet = fleetOf({ size, lifeMs }, random)
        fleet.start()
        await fleet.world.pass(SECOND)
        await callEvery(fleet, 250, 30 * SECOND)
        assert.ok(fleet.api.requests.length <= 33, `${fleet.api.requests.length} requests`)
        if (lifeMs > 3 * SECOND) assert.deepEqual(unhappy(fleet, 0), [])
        await fleet.stop()
        assert.deepEqual(fleet.faults, [])
      },
    ),
  )
}

test('a token that never expires is never replaced by itself: one mint in two days', async () => {
  const fleet = fleetOf({ size: 2, lifeMs: null, tickMs: MINUTE }, 1)
  fleet.start()
  await fleet.world.pass(48 * HOUR)
  assert.equal(fleet.api.requests.length, 1)
  await fleet.stop()
  assert.deepEqual(fleet.faults, [])
})

function fleetOf(options: Partial<FleetOptions>, random: number): Fleet {
  return new Fleet({ size: 1, policy, lifeMs: null, startsAt: NOON, random: generatorOf(random), ...options })
}

/** Calls of all replicas in turn, at even intervals; resolves, when those have passed, to the instant of the last interval's end. */
async function callEvery(
  fleet: Fleet,
  everyMs: number,
  forMs: number,
  plans: readonly CallPlan[] = [plainCall],
  passing = true,
): Promise<number> {
  let calls = 0
  const end = fleet.world.time + forMs
  const next = () => {
    if (fleet.world.time >= end) return
    fleet.call(calls, plans[calls % plans.length] ?? plainCall)
    calls++
    fleet.world.in(everyMs / fleet.size, next)
  }
  next()
  if (passing) await fleet.world.pass(forMs)
  return end
}

/** Calls begun since an instant that were not accepted. */
function unhappy(fleet: Fleet, since: number) {
  return fleet.calls.filter(({ at, end }) => at >= since && end !== 'accepted')
}

function callPlans(longestMs: number): fc.Arbitrary<CallPlan> {
  return fc.record({
    replayable: fc.boolean(),
    endpoint: fc.constant('good' as const),
    thereMs: fc.integer({ min: 1, max: longestMs }),
    backMs: fc.integer({ min: 1, max: longestMs }),
    patienceMs: fc.constant(Number.POSITIVE_INFINITY),
  })
}

/** Uniform in [0, 1), the same numbers for the same seed. */
function generatorOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
