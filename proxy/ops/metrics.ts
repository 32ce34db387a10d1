import type { Metric } from 'prom-client'
import { type Family, type MetricSources, metricFamilies } from './metric-families.ts'

/** A scrape's answer. */
export interface Exposition {
  readonly contentType: string
  readonly body: string
}

/**
 * Everything measured, in the Prometheus text format. prom-client writes the format and is loaded by the first scrape:
 * a sidecar that nobody scrapes does not pay for it.
 */
export async function exposition(sources: MetricSources): Promise<Exposition> {
  // The default export, since a bundler cannot tell the names that a CommonJS package exports.
  const { Registry } = (await import('prom-client')).default
  const registry = new Registry()
  for (const family of metricFamilies(sources)) registry.registerMetric(asMetric(family))
  return { contentType: registry.contentType, body: await registry.metrics() }
}

/**
 * A registry asks its metrics for no more than `name` and `get()`, while its types name the classes that count by themselves.
 * Those would have to be fed call by call, and a histogram cannot be set to counts that were made elsewhere.
 */
function asMetric({ name, help, type, samples }: Family): Metric {
  const metric = { name, get: async () => ({ name, help, type, aggregator: 'sum', values: samples }) }
  return metric as unknown as Metric
}
