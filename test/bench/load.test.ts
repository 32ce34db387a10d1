import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAutocannon } from '../../bench/load/autocannon.ts'
import { quantile } from '../../bench/load/quantile.ts'
import { parseWrk } from '../../bench/load/wrk.ts'

describe('the load generators', () => {
  const wrkOutput = (failed: number, requests = 5000) =>
    `Running 1s test @ http://127.0.0.1:1\n  1 threads\nRESULT {"requests":${requests},"durationUs":1250000,"p50Us":900,"p99Us":4200,"failed":${failed}}\n`

  it("turn wrk's line into a result", () => {
    assert.deepEqual(parseWrk(wrkOutput(0)), { requests: 5000, seconds: 1.25, p50Ms: 0.9, p99Ms: 4.2 })
  })

  it('count no result of wrk in which a request failed, or none was answered', () => {
    assert.throws(() => parseWrk(wrkOutput(3)), /3 of 5000 requests failed/)
    assert.throws(() => parseWrk(wrkOutput(0, 0)), /no request was answered/)
    assert.throws(() => parseWrk('unable to connect'), /no result/)
    assert.throws(() => parseWrk('RESULT {"requests":1,"failed":0}'), /half a result/)
  })

  const autocannonOutput = (non2xx: number) =>
    JSON.stringify({
      duration: 2,
      errors: 0,
      timeouts: 0,
      non2xx,
      requests: { total: 800 },
      latency: { p50: 1, p99: 7 },
    })

  it("turn autocannon's JSON into a result, and count none in which a request failed", () => {
    assert.deepEqual(parseAutocannon(autocannonOutput(0)), { requests: 800, seconds: 2, p50Ms: 1, p99Ms: 7 })
    assert.throws(() => parseAutocannon(autocannonOutput(2)), /2 of 800 requests failed/)
  })

  it('take quantiles by nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    assert.equal(quantile(values, 0.5), 50)
    assert.equal(quantile(values, 0.99), 99)
    assert.equal(quantile(values, 1), 100)
    assert.equal(quantile([3], 0), 3)
    assert.throws(() => quantile([], 0.5))
  })
})
