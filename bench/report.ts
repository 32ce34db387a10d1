import type { Machine } from './machine.ts'
import { type Exclusion, type Metric, type Sample, type Spread, spread } from './results.ts'
import type { Scenario } from './scenarios.ts'

/** All that a run found: what the JSON holds and the table is made of. */
export interface Report {
  /** ISO date. */
  readonly date: string
  readonly machine: Machine
  readonly settings: { readonly rounds: number; readonly seconds: number; readonly ratePerS: number }
  readonly contestants: readonly { readonly name: string; readonly version: string }[]
  readonly exclusions: readonly Exclusion[]
  readonly samples: readonly Sample[]
}

interface Column {
  readonly metric: Metric
  readonly title: string
  readonly digits: number
  /** Contestants to show the ratio to, of this metric. */
  readonly ratiosTo?: readonly string[]
}

/** Below this share of a processor the contestant was waiting, so its requests a second say nothing about it. */
const BUSY = 0.9

const cpu: Column = {
  metric: 'cpuUsPerRequest',
  title: 'CPU µs/request',
  digits: 1,
  ratiosTo: ['nginx', 'http-proxy'],
}
const p50: Column = { metric: 'p50Ms', title: 'p50 ms', digits: 2 }
const p99: Column = { metric: 'p99Ms', title: 'p99 ms', digits: 2 }
const rss: Column = { metric: 'rssMb', title: 'Rss MB', digits: 1, ratiosTo: ['nginx', 'http-proxy'] }
const ofMemory: readonly Column[] = [
  rss,
  { metric: 'pssMb', title: 'Pss MB', digits: 1 },
  { metric: 'anonymousMb', title: 'anonymous MB', digits: 1 },
]

/** The tables, as Markdown. */
export function markdown(report: Report, scenarios: readonly Scenario[], chart: string | null): string {
  const tables = scenarios.flatMap((scenario) => table(report, scenario) ?? [])
  return `${[
    '# Benchmark results',
    heading(report),
    ...(chart === null ? [] : [`![CPU of the proxy for each request](${chart})`]),
    'Each figure is the median of the rounds, with the least and the greatest. Ratios are of medians, to the row named. A rate with `≥` was not limited by the proxy, which left its processor idle for more than a tenth of the time: upstream or load generator could not do more, or something else had the processor.',
    ...tables,
    exclusions(report),
  ].join('\n\n')}\n`
}

/** The table of one scenario, or null when nobody ran it. */
export function table(report: Report, scenario: Scenario): string | null {
  const columns = columnsOf(scenario)
  const rows = report.contestants
    .map(({ name }) => ({ name, cells: columns.flatMap((column) => cells(report, scenario, name, column)) }))
    .filter(({ cells: texts }) => texts.some((text) => text !== ''))
  if (rows.length === 0) return null
  const titles = columns.flatMap(({ title, ratiosTo }) => [
    title,
    ...(ratiosTo ?? []).map((name) => `÷ ${name}`),
  ])
  const title =
    scenario.kind === 'rate' ? `${scenario.title} of ${report.settings.ratePerS} a second` : scenario.title
  return [
    `## ${scenario.name}: ${title}\n`,
    line(['', ...titles]),
    line(['---', ...titles.map(() => '---:')]),
    ...rows.map(({ name, cells: texts }) => line([name, ...texts])),
  ].join('\n')
}

/** How many times the CPU of `dearer` is that of `cheaper` in a scenario, by medians; null when one was not measured. */
export function cpuRatio(
  samples: readonly Sample[],
  scenario: string,
  dearer: string,
  cheaper: string,
): number | null {
  const above = spread(samples, dearer, scenario, 'cpuUsPerRequest')
  const below = spread(samples, cheaper, scenario, 'cpuUsPerRequest')
  return above === null || below === null ? null : above.median / below.median
}

function columnsOf(scenario: Scenario): readonly Column[] {
  switch (scenario.kind) {
    case 'start-up':
      return [{ metric: 'startMs', title: 'ms', digits: 0, ratiosTo: ['nginx', 'http-proxy'] }]
    case 'idle':
      return [...ofMemory, { metric: 'idleAddedMb', title: 'added by idle connections, Rss MB', digits: 1 }]
    case 'rate':
      return [p50, p99, cpu]
    case 'load':
      if (scenario.shows === 'memory') return ofMemory
      return scenario.shows === 'bytes'
        ? [
            { metric: 'mbPerS', title: 'MB/s', digits: 0, ratiosTo: ['nginx', 'http-proxy'] },
            { metric: 'cpuUsPerMb', title: 'CPU µs/MB', digits: 0 },
          ]
        : [cpu, { metric: 'requestsPerS', title: 'requests/s', digits: 0 }, p50, p99]
  }
}

function cells(report: Report, scenario: Scenario, contestant: string, column: Column): string[] {
  const of = (name: string, metric: Metric) => spread(report.samples, name, scenario.name, metric)
  const own = of(contestant, column.metric)
  const ratios = (column.ratiosTo ?? []).map((name) => {
    const other = of(name, column.metric)
    return own === null || other === null || name === contestant ? '' : ratio(own.median / other.median)
  })
  const busy = of(contestant, 'proxyBusy')
  const waited =
    (column.metric === 'requestsPerS' || column.metric === 'mbPerS') && busy !== null && busy.median < BUSY
  return [own === null ? '' : `${waited ? '≥ ' : ''}${figure(own, column.digits)}`, ...ratios]
}

function figure({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
}

function ratio(value: number): string {
  return `${value.toFixed(2)}×`
}

function line(texts: readonly string[]): string {
  return `| ${texts.join(' | ')} |`
}

function heading({ date, machine, settings, contestants }: Report): string {
  const { processor, processors, memoryGb, kernel, node, load, upstream, placement } = machine
  return [
    `- ${date}, ${processors} × ${processor}, ${memoryGb} GB, ${kernel}, Node ${node}`,
    `- load from ${load}, upstream: ${upstream}, ${placement}; ${settings.rounds} interleaved rounds, loads of ${settings.seconds} s and more`,
    `- ${contestants.map(({ name, version }) => `${name} ${version}`).join(', ')}`,
  ].join('\n')
}

function exclusions(report: Report): string {
  if (report.exclusions.length === 0) return 'Every contestant passed its verification.'
  const items = report.exclusions.map(
    ({ contestant, scenario, reason }) =>
      `- ${contestant}${scenario === null ? '' : `, ${scenario}`}: ${reason}`,
  )
  return `Left out:\n\n${items.join('\n')}`
}
