import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  HOUR,
  holding,
  MachineDriver,
  MINUTE,
  minted,
  outcomes,
  SECOND,
  stored,
  tokenOf,
} from './machine-driver.ts'

/** Milliseconds until the next attempt begins; the store goes on holding what this process holds. */
function untilNextAttempt(machine: MachineDriver): number {
  const since = machine.instant.mono
  while (machine.instant.mono - since < 48 * HOUR) {
    // In steps that hours do not take long with.
    machine.wait(Math.max(100, (machine.instant.mono - since) / 20_000))
    const actions = machine.tick()
    const { token, requests } = machine.state
    if (actions.includes('read') && machine.read(token, { requests }).includes('acquire')) {
      return machine.instant.mono - since
    }
  }
  return Number.POSITIVE_INFINITY
}

function sendAgain(machine: MachineDriver): void {
  machine.on({ kind: 'leased', state: stored(machine.state.token) })
  machine.on({ kind: 'begun', count: 1 })
}

// Rule 6: an unanswered mint has an unknown outcome.

for (const [title, outcome] of [
  ['a timeout', outcomes.timeout],
  ['a 500', outcomes.status500],
] as const) {
  test(`after ${title} the lease is left to run out, and nobody mints during the quarantine`, () => {
    const machine = holding()
    machine.on({ kind: 'asked' })
    machine.toMint()
    assert.deepEqual(machine.mintEnds(outcome), [])
    const pause = untilNextAttempt(machine)
    assert.ok(pause >= 2 * SECOND && pause <= 3 * SECOND, `${pause} ms`)
  })
}

test('the quarantine stops a person’s wish as well', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(outcomes.timeout)
  machine.on({ kind: 'asked' })
  assert.equal(untilNextAttempt(machine), 2 * SECOND)
})

test('after an unknown outcome the store is read and a token minted, however alive the old one seems', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  machine.on({ kind: 'schedule' })
  machine.state = { ...machine.state, scheduled: true }
  machine.tick()
  machine.toMint()
  machine.mintEnds(outcomes.timeout)
  untilNextAttempt(machine)
  sendAgain(machine)
  machine.mintEnds(minted('b', { validTill: null }))
  assert.equal(machine.state.unknownSince, null)
  assert.equal(machine.state.token?.generation, 2)
})

test('a person’s wish is one request: unknown outcomes after it are retried at growing pauses like any other', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  machine.on({ kind: 'asked' })
  machine.toMint()
  const pauses: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    machine.mintEnds(outcomes.status500)
    pauses.push(Math.round(untilNextAttempt(machine) / SECOND))
    sendAgain(machine)
  }
  assert.deepEqual(pauses, [2, 2, 2, 2, 2, 16, 30, 30], 'with the jitter in the middle of its range')
})

// Rule 7: back off.

test('a refused mint gives the lease back: nothing was processed', () => {
  for (const outcome of [outcomes.unreachable, outcomes.secretRejected, outcomes.quota]) {
    const machine = holding()
    machine.on({ kind: 'asked' })
    machine.toMint()
    assert.deepEqual(machine.mintEnds(outcome), ['release'])
    assert.equal(machine.state.unknownSince, null)
    assert.equal(machine.state.token?.generation, 1)
  }
})

test('an unreachable token API is asked again with full jitter, from a second to a minute', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  const pauses: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    machine.mintEnds(outcomes.unreachable)
    pauses.push(Math.round(untilNextAttempt(machine) / SECOND))
    sendAgain(machine)
  }
  assert.deepEqual(pauses, [1, 1, 1, 1, 1, 16, 30, 30])
})

test('a rejected secret is tried again after one minute, growing to fifteen', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  const pauses: number[] = []
  for (let turn = 0; turn < 6; turn++) {
    machine.mintEnds(outcomes.secretRejected)
    pauses.push(Math.round(untilNextAttempt(machine) / MINUTE))
    sendAgain(machine)
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 15, 15])
})

test('a new secret ends the pause at once', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  machine.mintEnds(outcomes.secretRejected)
  assert.deepEqual(machine.on({ kind: 'secret_changed' }), ['read'])
  assert.deepEqual(machine.read(null), ['acquire'])
})

test('after a 429 nothing is sent until a few seconds past 00:00 UTC', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  machine.mintEnds(outcomes.quota)
  const pause = untilNextAttempt(machine)
  assert.ok(pause > 12 * HOUR && pause <= 12 * HOUR + 15 * SECOND, `${pause} ms`)
})

test('00:00 UTC is told by the wall clock: a machine that slept through it goes on when it wakes', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  machine.mintEnds(outcomes.quota)
  machine.wait(SECOND).instant.now += 13 * HOUR
  assert.deepEqual(machine.tick(), ['read'])
  assert.deepEqual(machine.read(null), ['acquire'])
})

test('a refusal ends a person’s wish: the next attempt is an automatic one', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(outcomes.unreachable)
  assert.equal(untilNextAttempt(machine), Number.POSITIVE_INFINITY)
})

// A new secret.

test('the old secret’s living token serves until the new secret has one', () => {
  const machine = holding(tokenOf(9))
  machine.on({ kind: 'secret_changed' })
  assert.equal(machine.state.token?.generation, 9)
  machine.toMint(null)
  machine.mintEnds(minted('of the new secret'))
  assert.equal(machine.state.token?.generation, 1, 'its entry counts from its own numbers')
  assert.equal(machine.state.orphan, false)
})

test('a living token in the new secret’s entry is taken, whatever its number', () => {
  const machine = holding(tokenOf(9))
  machine.on({ kind: 'secret_changed' })
  assert.deepEqual(machine.read(tokenOf(2)), [])
  assert.equal(machine.state.token?.generation, 2)
})

test('what is known of the old secret’s mints and rotations says nothing about the new one', () => {
  const machine = holding(tokenOf(9))
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(outcomes.timeout)
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(9), { rotating: true })
  machine.on({ kind: 'secret_changed' })
  assert.equal(machine.state.unknownSince, null)
  assert.equal(machine.state.announcedAt, null)
  assert.deepEqual(machine.read(null), ['acquire'], 'no quarantine for a secret that minted nothing')
})
