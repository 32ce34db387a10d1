import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MintLog } from '../../sandbox/mint-log.ts'

describe('MintLog', () => {
  it('counts for each client apart how many requests were under way', () => {
    const log = new MintLog()
    const [one, overlapping, other] = [begin(log, 'one'), begin(log, 'one'), begin(log, 'other')]
    assert.deepEqual([one.inFlight, overlapping.inFlight, other.inFlight], [1, 2, 1])
    log.end(one, 1)
    log.end(one, 2)
    assert.equal(one.endedAt, 1)
    assert.equal(begin(log, 'one').inFlight, 2)
  })

  it('takes a foreign mint for no request under way', () => {
    const log = new MintLog()
    log.foreign('one', 1, 5)
    assert.equal(begin(log, 'one').inFlight, 1)
    assert.deepEqual([log.events[0]?.foreign, log.events[0]?.processedAt], [true, 5])
  })

  it('keeps the latest 100,000 at most, and says how many it dropped', () => {
    const log = new MintLog()
    for (let n = 0; n < 100_001; n += 1) log.end(begin(log, 'one'), n)
    assert.equal(log.events.length + log.dropped, 100_001)
    assert.ok(log.events.length <= 100_000)
    assert.equal(log.events.at(-1)?.id, 100_001)
  })

  it('still counts requests under way after it was cleared', () => {
    const log = new MintLog()
    begin(log, 'one')
    log.clear()
    assert.equal(begin(log, 'one').inFlight, 2)
    assert.equal(log.events.length, 1)
  })
})

function begin(log: MintLog, client: string) {
  return log.begin({ client, connection: 1, remotePort: 1, startedAt: 0 })
}
