import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MintEvent } from '../../sandbox/mint-log.ts'
import { wasBoundToFail } from '../../scripts/soak-blame.ts'
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
    assert.equal(wasBoundToFail(outcome('status 503', 10), [trouble], []), true)
    assert.equal(wasBoundToFail(outcome('status 502', 10), [trouble], []), false)
    assert.equal(wasBoundToFail(outcome('status 503', 10), [{ ...trouble, until: 99_999 }], []), false)
  })

  it('without a token is the token API’s only when it gave none for as long as calls wait', () => {
    const failed = outcome('status 503 token_unavailable', 10_000)
    assert.equal(wasBoundToFail(failed, [], [answered(99_990), answered(105_000, 'reset')]), true)
    assert.equal(wasBoundToFail(failed, [], [answered(105_000)]), false)
    assert.equal(wasBoundToFail(outcome('status 503 token_unavailable', 5_000), [], []), false)
  })

  it('with a rejection is nobody’s only when tokens were revoked twice meanwhile', () => {
    const failed = outcome('status 401', 100)
    assert.equal(wasBoundToFail(failed, [], [foreign(99_900), foreign(100_050)]), true)
    assert.equal(wasBoundToFail(failed, [], [foreign(100_050)]), false)
    assert.equal(wasBoundToFail(failed, [], [foreign(99_000), foreign(100_050)]), false)
  })

  it('and one of the two at least was none of our own answered mints', () => {
    const failed = outcome('status 401', 100)
    assert.equal(wasBoundToFail(failed, [], [answered(100_010), foreign(100_010)]), true)
    assert.equal(
      wasBoundToFail(failed, [], [answered(99_900), { ...answered(100_010), answeredAt: null }]),
      true,
    )
    assert.equal(wasBoundToFail(failed, [], [answered(99_900), answered(100_010)]), false)
    assert.equal(
      wasBoundToFail(failed, [], [answered(99_900), { ...foreign(100_010), outcome: 'faulty' }]),
      false,
    )
  })
})
