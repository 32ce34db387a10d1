import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { problems } from '../../proxy/lib/errors.ts'
import type { MetricSources } from '../../proxy/ops/metric-families.ts'
import { exposition } from '../../proxy/ops/metrics.ts'
import { DURATION_BOUNDS_S, TrafficCounters } from '../../proxy/relay/counters.ts'
import { credential, emptyCredential, opsDeps } from './deps.ts'
import { parseExposition } from './exposition-parser.ts'

function sources(changes: Partial<MetricSources> = {}): MetricSources {
  return { ...opsDeps(), credentials: [credential()], ...changes }
}

async function scrape(changes: Partial<MetricSources> = {}) {
  return parseExposition((await exposition(sources(changes))).body)
}

/** Type and label names of every metric the contract lists. */
const CONTRACT: Record<string, readonly [type: string, ...labels: string[]]> = {
  mints_total: ['counter', 'credential', 'outcome'],
  mint_duration_seconds: ['histogram', 'credential'],
  token_generation: ['gauge', 'credential'],
  token_valid_until_timestamp_seconds: ['gauge', 'credential'],
  token_minted_timestamp_seconds: ['gauge', 'credential'],
  mint_budget_remaining: ['gauge', 'credential'],
  foreign_mints_total: ['counter', 'credential'],
  requests_total: ['counter', 'code', 'method', 'route'],
  request_duration_seconds: ['histogram', 'route'],
  requests_in_flight: ['gauge'],
  requests_held: ['gauge'],
  replays_total: ['counter', 'outcome'],
  unreplayable_total: ['counter'],
  upstream_connections: ['gauge', 'state'],
  errors_total: ['counter', 'code'],
  store_errors_total: ['counter', 'store'],
  build_info: ['gauge', 'node', 'version'],
}

describe('metrics', () => {
  it('have the documented names, types and labels, and no others of ours', async () => {
    const counters = new TrafficCounters(['default'])
    counters.routes.get('default')?.answered('GET', 200, 0.02)
    const families = await scrape({ counters })
    const ours: Record<string, readonly string[]> = {}
    for (const [name, family] of families) {
      if (!name.startsWith('token_sidecar_')) continue
      const labels = new Set(family.samples.flatMap((sample) => Object.keys(sample.labels)))
      labels.delete('le')
      ours[name.slice('token_sidecar_'.length)] = [family.type, ...[...labels].sort()]
      assert.ok(family.help.length > 0, `${name} explains itself`)
    }
    assert.deepEqual(ours, CONTRACT)
  })

  it('are announced as the Prometheus text format', async () => {
    const { contentType, body } = await exposition(sources())
    assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8')
    assert.ok(body.endsWith('\n'))
  })

  it('count mints by outcome, those that never happened as 0', async () => {
    const { samples } = (await scrape()).get('token_sidecar_mints_total')!
    assert.deepEqual(Object.fromEntries(samples.map(({ labels, value }) => [labels['outcome'], value])), {
      minted: 2,
      adopted: 4,
      rejected: 0,
      quota: 0,
      error: 1,
      unknown: 0,
    })
  })

  it('give each credential series of its own, and stores of one kind a common one', async () => {
    const families = await scrape({ credentials: [credential(), credential({ name: 'gls', generation: 2 })] })
    const generations = families.get('token_sidecar_token_generation')!.samples
    assert.deepEqual(
      generations.map(({ labels, value }) => [labels['credential'], value]),
      [
        ['default', 7],
        ['gls', 2],
      ],
    )
    assert.deepEqual(families.get('token_sidecar_store_errors_total')!.samples, [
      { name: 'token_sidecar_store_errors_total', labels: { store: 'redis' }, value: 4 },
    ])
  })

  it('tell when a token expires: an instant, +Inf for never, nothing without a token', async () => {
    const families = await scrape({
      credentials: [
        credential(),
        credential({ name: 'eternal', validTill: null }),
        emptyCredential({ name: 'empty' }),
      ],
    })
    const values = (name: string) =>
      Object.fromEntries(
        families
          .get(`token_sidecar_${name}`)!
          .samples.map(({ labels, value }) => [labels['credential'], value]),
      )
    assert.deepEqual(values('token_valid_until_timestamp_seconds'), {
      default: Date.UTC(2030, 0, 1, 1) / 1000,
      eternal: Number.POSITIVE_INFINITY,
    })
    assert.deepEqual(Object.keys(values('token_minted_timestamp_seconds')), ['default', 'eternal'])
    assert.deepEqual(values('token_generation'), { default: 7, eternal: 7, empty: 0 })
  })

  it('never show a budget below zero, though people may use more than it', async () => {
    const overdrawn = credential({ mints: { ...credential().mints, today: 250 } })
    const left = (await scrape({ credentials: [overdrawn] })).get('token_sidecar_mint_budget_remaining')!
    assert.equal(left.samples[0]?.value, 0)
  })

  it('cumulate histogram buckets up to +Inf, which equals the count', async () => {
    const counters = new TrafficCounters(['default'])
    const route = counters.routes.get('default')!
    for (const seconds of [0.0005, 0.001, 0.02, 300]) route.answered('GET', 200, seconds)
    const { samples } = (await scrape({ counters })).get('token_sidecar_request_duration_seconds')!
    const buckets = samples.filter(({ name }) => name.endsWith('_bucket'))
    assert.deepEqual(
      buckets.map(({ labels }) => labels['le']),
      [...DURATION_BOUNDS_S.map(String), '+Inf'],
    )
    const counts = new Map(buckets.map(({ labels, value }) => [labels['le'], value]))
    assert.equal(counts.get('0.001'), 2)
    assert.equal(counts.get('0.01'), 2)
    assert.equal(counts.get('0.025'), 3)
    assert.equal(counts.get('120'), 3)
    assert.equal(counts.get('+Inf'), 4)
    assert.equal(samples.find(({ name }) => name.endsWith('_count'))?.value, 4)
    assert.ok(Math.abs(samples.find(({ name }) => name.endsWith('_sum'))!.value - 300.0215) < 1e-9)
  })

  it('show calls by route, method and code', async () => {
    const counters = new TrafficCounters(['default', 'gls'])
    counters.routes.get('gls')?.answered('POST', 201, 0.1)
    counters.routes.get('gls')?.answered('POST', 201, 0.1)
    counters.routes.get('default')?.answered('OTHER', 405, 0.1)
    assert.deepEqual((await scrape({ counters })).get('token_sidecar_requests_total')!.samples, [
      {
        name: 'token_sidecar_requests_total',
        labels: { route: 'default', method: 'OTHER', code: '405' },
        value: 1,
      },
      {
        name: 'token_sidecar_requests_total',
        labels: { route: 'gls', method: 'POST', code: '201' },
        value: 2,
      },
    ])
  })

  it('have every problem code, replay outcome and connection state from the first scrape', async () => {
    const counters = new TrafficCounters(['default'])
    counters.problem('token_unavailable')
    counters.replays.accepted = 5
    counters.upstreamIdle = 3
    const families = await scrape({ counters })
    const byLabel = (name: string, label: string) =>
      Object.fromEntries(families.get(name)!.samples.map(({ labels, value }) => [labels[label], value]))
    const codes = byLabel('token_sidecar_errors_total', 'code')
    assert.deepEqual(Object.keys(codes).sort(), Object.keys(problems).sort())
    assert.equal(codes['token_unavailable'], 1)
    assert.equal(codes['upstream_timeout'], 0)
    assert.deepEqual(byLabel('token_sidecar_replays_total', 'outcome'), {
      accepted: 5,
      rejected: 0,
      failed: 0,
    })
    assert.deepEqual(byLabel('token_sidecar_upstream_connections', 'state'), { active: 0, idle: 3 })
  })

  it('read the counters anew at each scrape', async () => {
    const counters = new TrafficCounters(['default'])
    const inFlight = async () =>
      (await scrape({ counters })).get('token_sidecar_requests_in_flight')!.samples[0]?.value
    assert.equal(await inFlight(), 0)
    counters.inFlight = 4
    assert.equal(await inFlight(), 4)
  })

  it('escape label values, so that a name cannot break the format', async () => {
    const name = 'a"b\\c\nd'
    const { samples } = (await scrape({ credentials: [credential({ name })] })).get(
      'token_sidecar_token_generation',
    )!
    assert.equal(samples[0]?.labels['credential'], name)
  })

  it('include the process in the names other exporters use', async () => {
    const families = await scrape()
    assert.equal(families.get('process_resident_memory_bytes')?.samples[0]?.value, 50_000_000)
    assert.equal(families.get('process_cpu_seconds_total')?.samples[0]?.value, 2)
    assert.equal(
      families.get('process_start_time_seconds')?.samples[0]?.value,
      Date.UTC(2030, 0, 1) / 1000 - 90.5,
    )
    assert.deepEqual(families.get('token_sidecar_build_info')?.samples[0]?.labels, {
      version: '1.2.3',
      node: '24.0.0',
    })
    const loop = families.get('nodejs_eventloop_time_seconds_total')!.samples
    assert.deepEqual(
      loop.map(({ labels }) => labels['nodejs_eventloop_state']),
      ['active', 'idle'],
    )
  })

  it('load express and prom-client when they are asked and not before', () => {
    const module = fileURLToPath(new URL('../../proxy/ops/server.ts', import.meta.url))
    const script = `
      import { createRequire } from 'node:module'
      await import(${JSON.stringify(module)})
      const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes('node_modules'))
      console.log(JSON.stringify({
        express: loaded.some((path) => path.includes('/express/')),
        prom: loaded.some((path) => path.includes('/prom-client/')),
      }))`
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { encoding: 'utf8' },
    )
    assert.equal(stdout.trim(), '{"express":false,"prom":false}', stderr)
  })
})
