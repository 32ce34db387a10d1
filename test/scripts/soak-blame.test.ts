import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MintEvent } from '../../sandbox/mint-log.ts'
import { causeOf } from '../../scripts/soak-blame.ts'
import { echo, type Outcome } from '../support/load.ts'

const outcome = (failure: string, latencyMs: number): Outcome => {
  return { plan: echo(1), startedAt: 100_000, latencyMs, status: null, failure }
}

const answered = (at: number, fault: string | null = null): MintEvent => ({
  id: 1,
  client: 'demo',
  foreign: false,
  connection: 1,
  remotePort: 1,
  inFlight: 1,
  startedAt: at - 10,
  processedAt: at,
  answeredAt: at,
  endedAt: at,
  outcome: 'minted',
  generation: 1,
  fault,
})
const foreign = (at: number): MintEvent => ({ ...answered(at), startedAt: at, foreign: true })

describe('a failed call of a soak', () => {
  it('is the upstream’s when it was out of order in a way that explains the failure', () => {
    const trouble = { from: 99_000, until: 100_050, explains: ['status 503'] }
    assert.equal(causeOf(outcome('status 503', 10), [trouble], []), 'the upstream’s own')
    assert.equal(causeOf(outcome('status 502', 10), [trouble], []), null)
    assert.equal(causeOf(outcome('status 503', 10), [{ ...trouble, until: 99_999 }], []), null)
  })

  it('without a token is the token API’s only when it gave none for as long as calls wait', () => {
    const failed = outcome('status 503 token_unavailable', 10_000)
    const lost = [answered(99_990), answered(105_000, 'reset')]
    assert.equal(causeOf(failed, [], lost), 'no token was to be had')
    assert.equal(causeOf(failed, [], [answered(105_000)]), null)
    assert.equal(causeOf(outcome('status 503 token_unavailable', 5_000), [], []), null)
  })

  it('with a rejection is nobody’s only when three tokens were revoked meanwhile', () => {
    const failed = outcome('status 401', 100)
    const third = 'a third token died under the call'
    assert.equal(causeOf(failed, [], [foreign(99_900), answered(99_950), foreign(100_050)]), third)
    assert.equal(causeOf(failed, [], [foreign(99_900), foreign(100_050)]), null)
    assert.equal(causeOf(failed, [], [foreign(99_000), answered(99_950), foreign(100_050)]), null)
    const faulty = { ...answered(99_950), outcome: 'faulty' } as const
    assert.equal(causeOf(failed, [], [foreign(99_900), faulty, foreign(100_050)]), null)
  })
})
