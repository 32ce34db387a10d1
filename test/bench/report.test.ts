import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { barChart } from '../../bench/chart.ts'
import { type Machine, slug } from '../../bench/machine.ts'
import { cpuRatio, markdown, type Report, table } from '../../bench/report.ts'
import { type Sample, spread } from '../../bench/results.ts'
import { scenarios } from '../../bench/scenarios.ts'

const machine: Machine = {
  processor: 'AMD EPYC(TM) 7003',
  processors: 2,
  memoryGb: 16,
  kernel: 'linux 6.1',
  node: 'v24.1.0',
  load: 'wrk 4.1.0',
  upstream: 'a stub',
  placement: 'nothing pinned',
}

function sample(contestant: string, round: number, cpuUsPerRequest: number, proxyBusy = 1): Sample {
  const metrics = { cpuUsPerRequest, proxyBusy, requestsPerS: 1e6 / cpuUsPerRequest, p50Ms: 1, p99Ms: 2 }
  return { contestant, scenario: 'small-32', round, metrics }
}

const samples = [
  sample('token-sidecar', 1, 30),
  sample('token-sidecar', 2, 20),
  sample('token-sidecar', 3, 25),
  sample('nginx', 1, 20, 0.5),
  sample('http-proxy', 1, 100),
]

const report: Report = {
  date: '2030-01-01',
  machine,
  settings: { rounds: 3, seconds: 1, ratePerS: 2000 },
  contestants: ['token-sidecar', 'nginx', 'http-proxy'].map((name) => ({ name, version: '1' })),
  exclusions: [{ contestant: 'envoy', scenario: null, reason: 'not installed' }],
  samples,
}

const small = scenarios.find(({ name }) => name === 'small-32')
assert.ok(small)

describe('the report', () => {
  it('takes the median of the rounds, and the least and the greatest', () => {
    assert.deepEqual(spread(samples, 'token-sidecar', 'small-32', 'cpuUsPerRequest'), {
      median: 25,
      min: 20,
      max: 30,
    })
    assert.equal(
      spread([sample('a', 1, 9), sample('a', 2, 2)], 'a', 'small-32', 'cpuUsPerRequest')?.median,
      5.5,
    )
    assert.equal(spread(samples, 'token-sidecar', 'tls-32', 'cpuUsPerRequest'), null)
  })

  it('compares with nginx and http-proxy, and marks a rate that the proxy did not limit', () => {
    const lines = table(report, small)?.split('\n') ?? []
    assert.equal(lines[2], '|  | CPU µs/request | ÷ nginx | ÷ http-proxy | requests/s | p50 ms | p99 ms |')
    assert.equal(
      lines[4],
      '| token-sidecar | 25.0 (20.0–30.0) | 1.25× | 0.25× | 40000 (33333–50000) | 1.00 (1.00–1.00) | 2.00 (2.00–2.00) |',
    )
    assert.match(lines[5] ?? '', /^\| nginx \| 20\.0 [^|]+\| {2}\| 0\.20× \| ≥ 50000 /)
  })

  it('has no table for what nobody ran, and says who was left out and why', () => {
    const text = markdown(report, scenarios, 'latest.svg')
    assert.equal(text.match(/^## /gm)?.length, 1)
    assert.match(text, /!\[[^\]]+\]\(latest\.svg\)/)
    assert.match(text, /^- envoy: not installed$/m)
    assert.match(markdown({ ...report, exclusions: [] }, scenarios, null), /Every contestant passed/)
  })

  it('knows how many times one costs the other, or that it does not know', () => {
    assert.equal(cpuRatio(samples, 'small-32', 'http-proxy', 'token-sidecar'), 4)
    assert.equal(cpuRatio(samples, 'post-32', 'http-proxy', 'token-sidecar'), null)
  })

  it('names files after the kind of machine', () => {
    assert.equal(slug(machine), 'amd-epyc-7003-2-core-node-v24')
  })
})

describe('the chart', () => {
  it('draws bars to scale, with whiskers and escaped labels', () => {
    const bar = { min: 10, max: 210, accent: false }
    const svg = barChart('CPU', 'µs', [
      {
        title: 'small',
        bars: [
          { ...bar, label: 'a<b', value: 200 },
          { ...bar, label: 'c', value: 100, accent: true },
        ],
      },
    ])
    const widths = [...svg.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)].map((match) =>
      match.slice(1),
    )
    assert.deepEqual(widths, [
      ['bar', '400.0'],
      ['accent', '200.0'],
    ])
    assert.match(svg, /a&lt;b/)
    assert.equal(svg.match(/<line /g)?.length, 2)
  })
})
