import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BarGroup, barChart } from './chart.ts'
import { slug } from './machine.ts'
import { markdown, type Report } from './report.ts'
import { spread } from './results.ts'
import { scenarios } from './scenarios.ts'

/** Scenarios of the chart. */
const charted = ['small-32', 'post-32', 'tls-32']

/** Writes the raw samples, the table and the chart to `dir`. Returns the files' names. */
export function writeResults(dir: string, report: Report): readonly string[] {
  mkdirSync(dir, { recursive: true })
  const raw = `${report.date}-${slug(report.machine)}.json`
  const groups = charted.flatMap((name) => chartGroup(report, name) ?? [])
  const chart = groups.length === 0 ? null : 'latest.svg'
  writeFileSync(join(dir, raw), `${JSON.stringify(report, null, 1)}\n`)
  writeFileSync(join(dir, 'latest.md'), markdown(report, scenarios, chart))
  if (chart !== null)
    writeFileSync(join(dir, chart), barChart('CPU of the proxy for each request', 'µs', groups))
  return [raw, 'latest.md', ...(chart === null ? [] : [chart])]
}

function chartGroup(report: Report, scenario: string): BarGroup | null {
  const title = scenarios.find(({ name }) => name === scenario)?.title ?? scenario
  const bars = report.contestants.flatMap(({ name }) => {
    const cpu = spread(report.samples, name, scenario, 'cpuUsPerRequest')
    if (cpu === null) return []
    return { label: name, value: cpu.median, min: cpu.min, max: cpu.max, accent: name === 'token-sidecar' }
  })
  return bars.length === 0 ? null : { title, bars: bars.sort((a, b) => a.value - b.value) }
}
