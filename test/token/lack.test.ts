import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isHopeless, lackCode } from '../../proxy/token/lack.ts'
import { HOUR, holding, MachineDriver, MINUTE, outcomes, SECOND, TODAY, tokenOf } from './machine-driver.ts'

test('waiting is hopeless when no attempt begins before its end', () => {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  machine.mintEnds(outcomes.secretRejected)
  const hopeless = (deadline: number) => isHopeless(machine.state, machine.instant, machine.policy, deadline)
  assert.ok(hopeless(MINUTE - 1))
  assert.ok(!hopeless(MINUTE))
})

test('waiting is not hopeless while an attempt is under way, another process rotates, or the store is yet to be asked', () => {
  const asking = new MachineDriver()
  asking.tick()
  const rotating = holding()
  rotating.on({ kind: 'store_changed' })
  rotating.read(tokenOf(1), { rotating: true })
  const unread = holding()
  unread.rejected()
  unread.toNewToken('b')
  unread.wait(SECOND).rejected()
  unread.read()
  unread.wait(50).rejected()
  for (const { state, instant, policy } of [asking, rotating, unread]) {
    assert.ok(!isHopeless(state, instant, policy, instant.mono + 10 * SECOND))
  }
})

const lacks: [title: string, arrange: () => MachineDriver, code: string][] = [
  ['a token that is simply not there', () => new MachineDriver(), 'token_unavailable'],
  ['a rejected secret', () => afterFirstMint(outcomes.secretRejected), 'secret_rejected'],
  ['an exhausted quota', () => afterFirstMint(outcomes.quota), 'mint_budget_exhausted'],
  [
    'a spent budget',
    () => {
      const machine = new MachineDriver()
      machine.tick()
      machine.read(null, { requests: { day: TODAY, count: 240 } })
      return machine
    },
    'mint_budget_exhausted',
  ],
  [
    'a budget of which the rest is spread over the day',
    () => withLittleBudget({ at: -MINUTE, failures: 0 }),
    'mint_budget_exhausted',
  ],
  [
    'the trouble that uses the budget up',
    () => withLittleBudget({ at: -MINUTE, failures: 1 }),
    'token_unavailable',
  ],
  [
    'a token that the budget allows now',
    () => withLittleBudget({ at: -HOUR, failures: 0 }),
    'token_unavailable',
  ],
]

/** No token, at noon, with a tenth of the day's requests left: one each half hour. */
function withLittleBudget(last: { readonly at: number; readonly failures: number }): MachineDriver {
  return new MachineDriver({
    requests: { day: TODAY, count: 216 },
    lastRequestAt: last.at,
    failures: last.failures,
  })
}

for (const [title, arrange, code] of lacks) {
  test(`callers are told of ${title}: ${code}`, () => {
    const { state, instant, policy } = arrange()
    assert.equal(lackCode(state, instant, policy), code)
  })
}

function afterFirstMint(outcome: (typeof outcomes)[keyof typeof outcomes]): MachineDriver {
  const machine = new MachineDriver()
  machine.tick()
  machine.toMint(null)
  machine.mintEnds(outcome)
  return machine
}
