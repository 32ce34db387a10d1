import { type Family, metricFamilies } from '../proxy/ops/metric-families.ts'
import { TrafficCounters } from '../proxy/relay/counters.ts'
import { type CredentialStatus, MINT_DURATION_BOUNDS_S } from '../proxy/token/status.ts'

/** More values than these are not listed: their names are those of codes, or of the configuration. */
const MOST_VALUES_LISTED = 6

/** A row for each metric: name, type, labels (with their values where they are few) and meaning. */
export function metricsTable(): string {
  const rows = exampleFamilies().map(
    (family) => `| \`${family.name}\` | ${family.type} | ${labelsOf(family)} | ${family.help} |`,
  )
  return ['| name | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function labelsOf({ samples }: Family): string {
  const values = new Map<string, Set<string>>()
  for (const { labels } of samples) {
    for (const [name, value] of Object.entries(labels)) {
      if (name !== 'le') values.set(name, (values.get(name) ?? new Set()).add(value))
    }
  }
  return [...values].map(([name, of]) => `\`${name}\`${listed(of)}`).join(', ')
}

function listed(values: ReadonlySet<string>): string {
  if (values.size < 2 || values.size > MOST_VALUES_LISTED) return ''
  return ` (${[...values].map((value) => `\`${value}\``).join(', ')})`
}

/** What a sidecar shows that holds one token and has answered one call. */
function exampleFamilies(): Family[] {
  const counters = new TrafficCounters(['default'])
  counters.routes.get('default')?.answered('GET', 200, 0.01)
  return metricFamilies({
    version: '',
    startedAt: 0,
    credentials: [credential],
    counters,
    runtime: {
      versions: { node: '' },
      memoryUsage: () => ({ rss: 0, heapTotal: 0, heapUsed: 0 }),
      cpuUsage: () => ({ user: 0, system: 0 }),
    },
  })
}

const credential: CredentialStatus = {
  name: 'default',
  state: 'fresh',
  usable: true,
  lack: null,
  generation: 1,
  fingerprint: '00000000',
  mintedAt: 0,
  validTill: 0,
  nextRefreshAt: null,
  lastError: null,
  mints: {
    total: 0,
    failed: 0,
    today: 0,
    budget: 0,
    outcomes: { minted: 0, adopted: 0, rejected: 0, quota: 0, error: 0, unknown: 0 },
    durationCounts: new Array(MINT_DURATION_BOUNDS_S.length + 1).fill(0),
    durationSumS: 0,
    recent: [],
  },
  foreignMints: 0,
  store: { kind: 'file', healthy: true, errors: 0 },
}
