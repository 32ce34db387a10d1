import { performance } from 'node:perf_hooks'
import { problems } from '../lib/errors.ts'
import { DURATION_BOUNDS_S, type TrafficCounters } from '../relay/counters.ts'
import { type CredentialStatus, MINT_DURATION_BOUNDS_S } from '../token/status.ts'

/** The part of Node's `process` that is measured; `process` itself fits. */
export interface Runtime {
  readonly versions: { readonly node: string }
  memoryUsage(): { readonly rss: number; readonly heapTotal: number; readonly heapUsed: number }
  /** Microseconds since the process began. */
  cpuUsage(): { readonly user: number; readonly system: number }
}

/** What one scrape reads: snapshots and plain counters, so that nothing is done for metrics between two scrapes. */
export interface MetricSources {
  readonly version: string
  /** Epoch ms. */
  readonly startedAt: number
  readonly credentials: readonly CredentialStatus[]
  readonly counters: TrafficCounters
  readonly runtime: Runtime
}

/** One line below a family's HELP and TYPE. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Set where it differs from the family's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string
}

/** One metric with all its label sets. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}

/**
 * Every metric, read once. Label values come from configuration and from closed lists, never from a call's path or headers.
 * Where the label set is known beforehand a counter is there from the start, at 0, or the first increase would be invisible
 * to rate().
 */
export function metricFamilies(sources: MetricSources): Family[] {
  return [
    ...credentialFamilies(sources.credentials),
    ...trafficFamilies(sources.counters),
    gauge('token_sidecar_build_info', 'Always 1; version of token-sidecar and of Node.js.', [
      sample(1, { version: sources.version, node: sources.runtime.versions.node }),
    ]),
    ...runtimeFamilies(sources.runtime, sources.startedAt),
  ]
}

function credentialFamilies(credentials: readonly CredentialStatus[]): Family[] {
  const each = (read: (credential: CredentialStatus) => number) =>
    credentials.map((credential) => sample(read(credential), { credential: credential.name }))
  // Without a token there is no instant to tell: the series is absent, and the generation is 0.
  const held = credentials.filter(({ generation, fingerprint }) => generation > 0 && fingerprint !== null)
  return [
    counter(
      'token_sidecar_mints_total',
      'Attempts to get a token by outcome; adopted: taken from the store without a request.',
      credentials.flatMap(({ name, mints }) =>
        Object.entries(mints.outcomes).map(([outcome, count]) =>
          sample(count, { credential: name, outcome }),
        ),
      ),
    ),
    histogram(
      'token_sidecar_mint_duration_seconds',
      'Time the token API took to answer.',
      credentials.map(({ name, mints }) => ({
        labels: { credential: name },
        boundsS: MINT_DURATION_BOUNDS_S,
        counts: mints.durationCounts,
        sumS: mints.durationSumS,
      })),
    ),
    gauge(
      'token_sidecar_token_generation',
      'Number of the token held, counted across restarts and replicas; 0 without a token.',
      each(({ generation }) => generation),
    ),
    gauge(
      'token_sidecar_token_valid_until_timestamp_seconds',
      'When the token held expires, Unix time; +Inf if never; absent without a token.',
      held.map(({ name, validTill }) =>
        sample(validTill === null ? Number.POSITIVE_INFINITY : validTill / 1000, { credential: name }),
      ),
    ),
    gauge(
      'token_sidecar_token_minted_timestamp_seconds',
      'When the token held was minted, Unix time; absent without a token.',
      held.flatMap(({ name, mintedAt }) =>
        mintedAt === null ? [] : [sample(mintedAt / 1000, { credential: name })],
      ),
    ),
    gauge(
      'token_sidecar_mint_budget_remaining',
      'Automatic requests to the token API left for this UTC day, over all replicas.',
      each(({ mints }) => Math.max(0, mints.budget - mints.today)),
    ),
    counter(
      'token_sidecar_foreign_mints_total',
      'Tokens revoked by a mint that was not made through the shared store.',
      each(({ foreignMints }) => foreignMints),
    ),
    counter(
      'token_sidecar_store_errors_total',
      'Failed operations on the token store.',
      storeErrors(credentials),
    ),
  ]
}

/** Credentials usually share one kind of store; their errors are one series. */
function storeErrors(credentials: readonly CredentialStatus[]): Sample[] {
  const byKind = new Map<string, number>()
  for (const { store } of credentials) byKind.set(store.kind, (byKind.get(store.kind) ?? 0) + store.errors)
  return [...byKind].map(([store, errors]) => sample(errors, { store }))
}

function trafficFamilies(counters: TrafficCounters): Family[] {
  const routes = [...counters.routes]
  const byCode: ReadonlyMap<string, number> = counters.problems
  return [
    counter(
      'token_sidecar_requests_total',
      'Calls answered, by route, method and status code.',
      routes.flatMap(([route, { answers }]) =>
        [...answers].map(([answer, count]) => {
          const [method = '', code = ''] = answer.split(' ')
          return sample(count, { route, method, code })
        }),
      ),
    ),
    histogram(
      'token_sidecar_request_duration_seconds',
      'Time from the end of a call’s head to the end of its answer.',
      routes.map(([route, { durationCounts, durationSumS }]) => ({
        labels: { route },
        boundsS: DURATION_BOUNDS_S,
        counts: durationCounts,
        sumS: durationSumS,
      })),
    ),
    gauge('token_sidecar_requests_in_flight', 'Calls under way.', [sample(counters.inFlight)]),
    gauge('token_sidecar_requests_held', 'Calls under way that wait for a token.', [sample(counters.held)]),
    counter(
      'token_sidecar_replays_total',
      'Calls sent again after their token was rejected, by how that ended.',
      Object.entries(counters.replays).map(([outcome, count]) => sample(count, { outcome })),
    ),
    counter(
      'token_sidecar_unreplayable_total',
      'Calls whose token was rejected and whose body had not been kept.',
      [sample(counters.unreplayable)],
    ),
    gauge('token_sidecar_upstream_connections', 'Open connections to the business APIs.', [
      sample(counters.upstreamActive, { state: 'active' }),
      sample(counters.upstreamIdle, { state: 'idle' }),
    ]),
    counter(
      'token_sidecar_errors_total',
      'Answers of the sidecar’s own, by problem code.',
      [...new Set([...Object.keys(problems), ...byCode.keys()])].map((code) =>
        sample(byCode.get(code) ?? 0, { code }),
      ),
    ),
  ]
}

/** The names other exporters use. Read when asked: no timer, no observer, no histogram that runs between scrapes. */
function runtimeFamilies(runtime: Runtime, startedAt: number): Family[] {
  const { rss, heapTotal, heapUsed } = runtime.memoryUsage()
  const { user, system } = runtime.cpuUsage()
  const loop = performance.eventLoopUtilization()
  return [
    gauge('process_start_time_seconds', 'Start of the process, Unix time.', [sample(startedAt / 1000)]),
    counter('process_cpu_user_seconds_total', 'CPU time spent in user mode.', [sample(user / 1e6)]),
    counter('process_cpu_system_seconds_total', 'CPU time spent in the kernel.', [sample(system / 1e6)]),
    counter('process_cpu_seconds_total', 'CPU time spent.', [sample((user + system) / 1e6)]),
    gauge('process_resident_memory_bytes', 'Resident memory.', [sample(rss)]),
    gauge('nodejs_heap_size_total_bytes', 'Size of the V8 heap.', [sample(heapTotal)]),
    gauge('nodejs_heap_size_used_bytes', 'Part of the V8 heap in use.', [sample(heapUsed)]),
    counter('nodejs_eventloop_time_seconds_total', 'Time the event loop was busy or waiting, by state.', [
      sample(loop.active / 1000, { nodejs_eventloop_state: 'active' }),
      sample(loop.idle / 1000, { nodejs_eventloop_state: 'idle' }),
    ]),
  ]
}

interface Distribution {
  readonly labels: Readonly<Record<string, string>>
  readonly boundsS: readonly number[]
  /** One for each bound and a last one for +Inf, not cumulated. */
  readonly counts: ArrayLike<number>
  readonly sumS: number
}

function histogram(name: string, help: string, distributions: readonly Distribution[]): Family {
  const samples = distributions.flatMap(({ labels, boundsS, counts, sumS }) => {
    let total = 0
    const buckets = [...boundsS, Number.POSITIVE_INFINITY].map((boundS, index) => {
      total += counts[index] ?? 0
      const le = boundS === Number.POSITIVE_INFINITY ? '+Inf' : String(boundS)
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sumS },
      { metricName: `${name}_count`, labels, value: total },
    ]
  })
  return { name, help, type: 'histogram', samples }
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'counter', samples }
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples }
}

function sample(value: number, labels: Readonly<Record<string, string>> = {}): Sample {
  return { labels, value }
}
