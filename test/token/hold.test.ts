import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holds, imminentFrom } from '../../proxy/token/hold.ts'
import {
  DRAIN_MS,
  HOUR,
  holding,
  MachineDriver,
  MINUTE,
  outcomes,
  SECOND,
  stored,
  tokenOf,
} from './machine-driver.ts'

const NOW = 250
const NOT_AT_ALL = Number.NEGATIVE_INFINITY
const NO_END = Number.POSITIVE_INFINITY

/** A machine at an instant of its own choice, and how long calls wait then: monotonic ms. */
const situations: [title: string, arrange: () => MachineDriver, replayable: number, unreplayable: number][] =
  [
    ['with no token everybody waits', () => new MachineDriver(), NO_END, NO_END],
    [
      'with an expired token everybody waits',
      () => {
        const machine = holding()
        machine.instant.now += HOUR
        return machine
      },
      NO_END,
      NO_END,
    ],
    ['with a living token nobody waits', () => holding(), NOT_AT_ALL, NOT_AT_ALL],
    [
      'reading the store holds nobody: nothing is announced yet',
      () => {
        const machine = holding()
        machine.on({ kind: 'asked' })
        return machine
      },
      NOT_AT_ALL,
      NOT_AT_ALL,
    ],
    [
      'from the announcement on calls wait ROTATION_HOLD, those that cannot be repeated for the end of it',
      () => {
        const machine = holding()
        machine.on({ kind: 'asked' })
        machine.read()
        machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
        return machine
      },
      NOW + SECOND,
      NO_END,
    ],
    [
      'the same while the mint is under way',
      () => {
        const machine = holding()
        machine.on({ kind: 'asked' })
        machine.toMint()
        return machine.wait(3 * SECOND)
      },
      NOW + SECOND,
      NO_END,
    ],
    [
      'a refused mint releases everybody at once: the old token lives',
      () => {
        const machine = holding()
        machine.on({ kind: 'asked' })
        machine.toMint()
        machine.mintEnds(outcomes.unreachable)
        return machine
      },
      NOT_AT_ALL,
      NOT_AT_ALL,
    ],
    [
      'after an unanswered mint calls go on with the old token; only those that cannot be repeated wait, once',
      () => {
        const machine = holding()
        machine.on({ kind: 'asked' })
        machine.toMint()
        machine.mintEnds(outcomes.timeout)
        return machine
      },
      NOT_AT_ALL,
      NOW + DRAIN_MS + 10 * SECOND,
    ],
    [
      'later attempts hold nobody until one succeeds',
      () => {
        const machine = holding()
        machine.on({ kind: 'asked' })
        machine.toMint()
        machine.mintEnds(outcomes.timeout)
        machine.wait(20 * SECOND).tick()
        machine.toMint()
        return machine
      },
      NOT_AT_ALL,
      NOW + DRAIN_MS + 10 * SECOND,
    ],
    [
      'another process’s rotation holds calls as our own does',
      () => {
        const machine = holding()
        machine.on({ kind: 'store_changed' })
        machine.read(tokenOf(1), { rotating: true })
        return machine
      },
      NOW + SECOND,
      NO_END,
    ],
    [
      'but no longer than its lease can last, when the store does not tell of its end',
      () => {
        const machine = holding()
        machine.on({ kind: 'store_changed' })
        machine.read(tokenOf(1), { rotating: true })
        return machine.wait(8 * SECOND)
      },
      NOT_AT_ALL,
      NOT_AT_ALL,
    ],
    [
      'a suspect token holds calls while it is asked for a newer one',
      () => {
        const machine = holding()
        machine.rejected()
        return machine.wait(100)
      },
      NOW + SECOND,
      NO_END,
    ],
    [
      'a suspect token that may not be replaced yet holds nobody',
      () => {
        const machine = holding()
        machine.rejected()
        machine.toNewToken('b')
        machine.wait(SECOND).rejected()
        machine.read()
        return machine
      },
      NOT_AT_ALL,
      NOT_AT_ALL,
    ],
  ]

for (const [title, arrange, replayable, unreplayable] of situations) {
  test(title, () => {
    const { state, instant, policy } = arrange()
    assert.deepEqual(holds(state, instant, policy), { replayable, unreplayable })
  })
}

test('calls that cannot be repeated are sent after a rotation that is a second away', () => {
  const machine = holding()
  const refreshIn = 55 * MINUTE
  assert.equal(imminentFrom(machine.state, machine.instant, machine.policy), refreshIn - SECOND)
})

test('and no sooner than the lead before the end, when a token lives shortly', () => {
  const { now } = new MachineDriver().instant
  const machine = holding(tokenOf(1, { mintedAt: now, validTill: now + 5 * SECOND }))
  assert.equal(imminentFrom(machine.state, machine.instant, machine.policy), 4_500 - 500)
})

test('no rotation is near while the store is down, after an unanswered mint, or for a token without end', () => {
  const down = holding()
  down.on({ kind: 'store_changed' })
  down.on({ kind: 'store_failed', during: 'read' })
  const unanswered = holding()
  unanswered.on({ kind: 'asked' })
  unanswered.toMint()
  unanswered.mintEnds(outcomes.timeout)
  for (const { state, instant, policy } of [down, unanswered, holding(tokenOf(1, { validTill: null }))]) {
    assert.equal(imminentFrom(state, instant, policy), null)
  }
})
