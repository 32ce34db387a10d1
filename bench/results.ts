/** Everything that may be measured. The unit is in the name. */
export type Metric =
  | 'cpuUsPerRequest'
  | 'cpuUsPerMb'
  | 'proxyBusy'
  | 'requestsPerS'
  | 'mbPerS'
  | 'p50Ms'
  | 'p99Ms'
  | 'rssMb'
  | 'pssMb'
  | 'anonymousMb'
  | 'idleAddedMb'
  | 'startMs'

export type Metrics = Partial<Readonly<Record<Metric, number>>>

/** One scenario of one contestant in one round. */
export interface Sample {
  readonly contestant: string
  readonly scenario: string
  readonly round: number
  readonly metrics: Metrics
}

/** What the rounds come to. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** A contestant, or one of its scenarios, that was left out, and why. */
export interface Exclusion {
  readonly contestant: string
  readonly scenario: string | null
  readonly reason: string
}

/** Median, least and greatest over the rounds; null when it was not measured. */
export function spread(
  samples: readonly Sample[],
  contestant: string,
  scenario: string,
  metric: Metric,
): Spread | null {
  const values = samples
    .filter((sample) => sample.contestant === contestant && sample.scenario === scenario)
    .flatMap(({ metrics }) => metrics[metric] ?? [])
  if (values.length === 0) return null
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Of an even number, the mean of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.slice(Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2) + 1)
  return middle.reduce((sum, value) => sum + value, 0) / middle.length
}
