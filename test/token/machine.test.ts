import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leaseMs } from '../../proxy/token/lease-time.ts'
import {
  DRAIN_MS,
  HOUR,
  holding,
  MachineDriver,
  MINUTE,
  minted,
  NOON,
  outcomes,
  policy,
  SECOND,
  stored,
  TODAY,
  tokenOf,
} from './machine-driver.ts'

// Rule 1: mint only when needed.

test('with no token the store is read first, then the right to mint is asked for, then a token minted', () => {
  const machine = new MachineDriver()
  assert.deepEqual(machine.tick(), ['read'])
  assert.deepEqual(machine.read(null), ['acquire'])
  assert.deepEqual(machine.on({ kind: 'leased', state: stored(null) }), ['begin'])
  assert.deepEqual(machine.on({ kind: 'begun', count: 1 }), ['mint'])
  assert.deepEqual(machine.mintEnds(minted('a')), ['publish'])
  assert.deepEqual(machine.on({ kind: 'published', accepted: true }), [])
  assert.equal(machine.state.token?.generation, 1)
})

test('a living token is left alone: time brings reads of the store and nothing else', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  const seen = new Set<string>()
  for (let s = 0; s < 3 * 3_600; s++) {
    for (const action of machine.wait(SECOND).tick()) {
      seen.add(action)
      if (action === 'read') machine.read()
    }
  }
  assert.deepEqual([...seen], ['read'])
})

test('a token is replaced once it is inside its refresh window', () => {
  const machine = holding()
  assert.deepEqual(machine.read(), [])
  machine.instant.now = NOON + 55 * MINUTE - 1
  machine.tick()
  assert.deepEqual(machine.read(), [])
  machine.instant.now += 1
  machine.tick()
  assert.deepEqual(machine.read(), ['acquire'])
})

test('the schedule mints, but not again for a token that was minted a moment ago', () => {
  const machine = holding()
  machine.instant.now = NOON + 2 * SECOND
  assert.deepEqual(machine.on({ kind: 'schedule' }), [])
  machine.instant.now += 1
  assert.deepEqual(machine.on({ kind: 'schedule' }), ['read'])
  assert.deepEqual(machine.read(), ['acquire'])
})

test('a person’s wish is fulfilled at once, through any pause and beyond the budget', () => {
  const machine = holding()
  machine.state = { ...machine.state, pause: { until: 1e9, untilEpochMs: null, why: 'secret_rejected' } }
  assert.deepEqual(machine.on({ kind: 'asked' }), ['read'])
  assert.deepEqual(machine.read(tokenOf(1), { requests: { day: TODAY, count: 270 } }), ['acquire'])
})

test('what was announced is not sent when an accepted call clears the suspicion meanwhile', () => {
  const machine = holding()
  machine.rejected(200)
  machine.wait(50).read()
  machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
  machine.accepted(300)
  machine.on({ kind: 'begun', count: 1 })
  assert.deepEqual(machine.wait(DRAIN_MS).tick(), ['release'])
  assert.equal(machine.state.phase.kind, 'idle')
})

// Rule 2: adopt before mint.

test('at start a living token from the store is taken and none is minted', () => {
  const machine = new MachineDriver()
  machine.tick()
  assert.deepEqual(machine.read(tokenOf(7)), [])
  assert.equal(machine.state.token?.generation, 7)
  assert.deepEqual(machine.told, ['adopted', 'token_adopted'])
})

test('at refresh time a newer token that another process minted is taken instead', () => {
  const machine = holding()
  machine.instant.now = NOON + 56 * MINUTE
  machine.tick()
  const newer = tokenOf(2, { mintedAt: NOON + 55 * MINUTE, validTill: NOON + 2 * HOUR })
  assert.deepEqual(machine.read(newer), [])
  assert.equal(machine.state.token?.generation, 2)
})

test('after the lease is obtained the entry is looked at again, and a newer token in it makes the mint needless', () => {
  const machine = holding()
  machine.rejected()
  machine.read()
  assert.deepEqual(machine.on({ kind: 'leased', state: stored(tokenOf(2)) }), ['release'])
  assert.equal(machine.state.token?.generation, 2)
  assert.equal(machine.state.rejectedAt, null)
})

test('an expired token from the store is not worth going on with, nor does it end a pause', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  machine.mintEnds(outcomes.secretRejected)
  machine.wait(MINUTE / 2).on({ kind: 'store_changed' })
  machine.read(tokenOf(3, { validTill: NOON - 1 }))
  assert.equal(machine.state.pause?.why, 'secret_rejected')
  assert.equal(machine.state.secretRejections, 1)
})

test('a token read while another process rotates is taken, with the warning that it is about to die', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.read(tokenOf(4), { rotating: true })
  assert.equal(machine.state.token?.generation, 4)
  assert.equal(machine.state.announcedAt, 0)
})

test('a store that changes while it is read is read again', () => {
  const machine = holding()
  machine.on({ kind: 'store_changed' })
  assert.deepEqual(machine.on({ kind: 'store_changed' }), [])
  assert.deepEqual(machine.read(), ['read'])
  assert.deepEqual(machine.read(tokenOf(2)), [])
  assert.equal(machine.state.token?.generation, 2)
})

test('the same token under a higher number is no new token', () => {
  const machine = holding()
  const token = machine.state.token
  machine.rejected()
  machine.read({ ...tokenOf(5), value: tokenOf(1).value })
  assert.equal(machine.state.token?.value, token?.value)
  assert.equal(machine.state.token?.generation, 5)
  assert.notEqual(machine.state.rejectedAt, null)
})

// Rule 3: one at a time.

test('while an attempt is under way no other begins, whatever happens', () => {
  const machine = holding()
  machine.rejected()
  machine.toMint()
  for (const kind of ['tick', 'schedule', 'asked', 'store_changed'] as const) {
    assert.deepEqual(machine.wait(SECOND).on({ kind }), [], kind)
  }
  assert.deepEqual(machine.rejected(), [])
})

test('when another process has the right to mint, it is asked again in a moment', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.read()
  assert.deepEqual(machine.on({ kind: 'lease_denied' }), [])
  assert.deepEqual(machine.wait(299).tick(), [])
  assert.deepEqual(machine.wait(1).tick(), ['read'])
})

test('what changes while the right to mint is asked for is read at once when that is denied', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.read()
  machine.on({ kind: 'store_changed' })
  assert.deepEqual(machine.on({ kind: 'lease_denied' }), ['read'])
  machine.read(tokenOf(1), { rotating: true })
  assert.equal(machine.state.announcedAt, machine.instant.mono)
})

test('a lease lasts longer than anything sent under it: deadline, quarantine and publishing', () => {
  assert.equal(leaseMs(policy), 8 * SECOND)
  assert.ok(leaseMs(policy) < policy.holdTimeoutMs)
})

test('the deadline of a mint counts from when the lease was asked for', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.read()
  machine.wait(1_200).on({ kind: 'leased', state: stored(tokenOf(1)) })
  machine.wait(50).on({ kind: 'begun', count: 1 })
  machine.wait(DRAIN_MS).tick()
  assert.deepEqual(machine.actions, [{ do: 'mint', timeoutMs: 3_500 }])
})

for (const [title, sleep] of [
  ['was stopped', (machine: MachineDriver) => machine.wait(4 * SECOND)],
  [
    'slept through with its monotonic clock',
    (m: MachineDriver) => Object.assign(m.instant, { now: NOON + 9 * SECOND }),
  ],
] as const) {
  test(`a process that ${title} under its lease does not send the mint, and pauses before it tries again`, () => {
    const machine = holding()
    machine.on({ kind: 'asked' })
    machine.read()
    machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
    machine.on({ kind: 'begun', count: 1 })
    sleep(machine.wait(DRAIN_MS))
    assert.deepEqual(machine.tick(), ['release'])
    assert.equal(machine.told.at(-1), 'mint_put_off')
    assert.equal(machine.state.phase.kind, 'idle')
    assert.deepEqual(machine.tick(), [])
    machine.wait(MINUTE).tick()
    assert.deepEqual(machine.read(), ['acquire'])
  })
}

// Rule 5, the drain.

test('a planned rotation lets calls under way, of any process, come back before it kills their token', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.read()
  machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
  assert.deepEqual(machine.on({ kind: 'begun', count: 1 }), [])
  assert.deepEqual(machine.wait(DRAIN_MS - 1).tick(), [])
  assert.deepEqual(machine.wait(1).tick(), ['mint'])
})

for (const [title, arrange] of [
  ['an expired', (machine: MachineDriver) => Object.assign(machine.instant, { now: NOON + HOUR })],
  ['a suspect', (machine: MachineDriver) => machine.rejected()],
] as const) {
  test(`calls with ${title} token are not waited for`, () => {
    const machine = holding()
    arrange(machine)
    machine.tick()
    machine.read()
    machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
    assert.deepEqual(machine.on({ kind: 'begun', count: 1 }), ['mint'])
  })
}

// Rule 8: budget.

test('each request is counted before it is sent, for the UTC day', () => {
  const machine = holding()
  machine.rejected()
  machine.read()
  machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
  assert.deepEqual(machine.actions, [{ do: 'begin', day: TODAY }])
  machine.on({ kind: 'begun', count: 41 })
  assert.deepEqual(machine.state.requests, { day: TODAY, count: 41 })
})

test('when the budget is spent nothing automatic is sent until 00:00 UTC', () => {
  const machine = holding()
  machine.read(tokenOf(1), { requests: { day: TODAY, count: 240 } })
  machine.rejected()
  assert.deepEqual(machine.read(tokenOf(1), { requests: { day: TODAY, count: 240 } }), [])
  machine.wait(12 * HOUR).tick()
  assert.deepEqual(machine.read(tokenOf(1), { requests: { day: TODAY, count: 240 } }), ['acquire'])
})

test('as the budget runs low, the requests of other processes make this one wait as well', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.read(tokenOf(1), { requests: { day: TODAY, count: 238 } })
  machine.wait(10 * HOUR).tick()
  machine.read(tokenOf(1), { requests: { day: TODAY, count: 239 } })
  machine.wait(MINUTE).rejected()
  assert.deepEqual(machine.read(tokenOf(1), { requests: { day: TODAY, count: 239 } }), [])
  machine.wait(HOUR).tick()
  assert.deepEqual(machine.read(tokenOf(1), { requests: { day: TODAY, count: 239 } }), ['acquire'])
})

// Rule 11: time.

test('a wall clock that jumps forward past the refresh time is noticed on the next tick', () => {
  const machine = holding(tokenOf(1))
  machine.read()
  machine.instant.now = NOON + 56 * MINUTE
  assert.deepEqual(machine.tick(), ['read'])
  assert.deepEqual(machine.read(), ['acquire'])
})

test('a token that never expires is never refreshed by itself, however far the clock jumps', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  machine.instant.now += 10 * 365 * 24 * HOUR
  machine.tick()
  assert.deepEqual(machine.read(), [])
})

test('tokens of a second’s life cost at most one request a second', () => {
  const machine = new MachineDriver()
  let mints = 0
  for (let ms = 0; ms < 60 * SECOND; ms += 100) {
    machine.wait(100)
    if (machine.tick().includes('read') && machine.read().includes('acquire')) {
      machine.on({ kind: 'leased', state: stored(machine.state.token) })
      machine.on({ kind: 'begun', count: 1 })
      const validTill = machine.instant.now + 300
      machine.mintEnds(minted(`t${ms}`, { mintedAt: machine.instant.now, validTill }))
      machine.on({ kind: 'published', accepted: true })
      mints++
    }
  }
  assert.ok(mints <= 61, `${mints} requests in a minute`)
})

test('tokens that arrive expired are asked for at growing pauses', () => {
  const machine = new MachineDriver()
  const at: number[] = []
  for (let ms = 0; ms < 10 * MINUTE; ms += 100) {
    machine.wait(100)
    if (machine.tick().includes('read') && machine.read().includes('acquire')) {
      at.push(machine.instant.mono)
      machine.on({ kind: 'leased', state: stored(machine.state.token) })
      machine.on({ kind: 'begun', count: 1 })
      const validTill = machine.instant.now - 1
      machine.mintEnds(minted(`t${ms}`, { mintedAt: machine.instant.now, validTill }))
      machine.on({ kind: 'published', accepted: true })
    }
  }
  const pauses = at.slice(1).map((mono, index) => Math.round((mono - (at[index] ?? 0)) / SECOND))
  assert.deepEqual(pauses.slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
})

test('a store that nothing is heard of is read at its own pace, which says how far its hints can be trusted', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  machine.tick()
  machine.read()
  machine.instant.storePollMs = 60_000
  assert.deepEqual(machine.wait(59_000).tick(), [])
  assert.deepEqual(machine.wait(31_000).tick(), ['read'])
  machine.read()
  machine.instant.storePollMs = 5_000
  assert.deepEqual(machine.wait(7_500).tick(), ['read'])
})
