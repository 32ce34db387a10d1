import { type Html, type HtmlValue, html } from '../html.ts'
import { chart, scaleTop } from './chart.ts'
import type { PageFacts } from './facts.ts'
import { count } from './figures.ts'
import { table } from './table.ts'
import { intervals, type TrafficInterval } from './traffic-series.ts'

/** Errors by code: a row with a small chart for each, most frequent first. */
export function errorSection({ readings }: PageFacts): Html {
  const series = intervals(readings)
  const present = readings.at(-1)
  const statuses = [...(present?.failures ?? [])].map(([status, total]) =>
    row(String(status), total, series, ({ failures }) => failures.get(status) ?? 0),
  )
  const problems = [...(present?.problems ?? [])]
    .filter(([, total]) => total > 0)
    .map(([code, total]) => row(code, total, series, (interval) => interval.problems.get(code) ?? 0))
  return html`<section id="errors" aria-labelledby="errors-name">
<h2 id="errors-name">Errors by code</h2>
<div class="columns even">
<div class="card"><h3>Answers of 400 and above</h3>${listed('Answers of 400 and above', 'Status', statuses)}</div>
<div class="card"><h3>Answers of the sidecar’s own</h3>${listed('Answers of the sidecar’s own', 'Code', problems)}</div>
</div>
</section>`
}

interface ErrorRow {
  readonly total: number
  readonly recent: number
  readonly cells: readonly HtmlValue[]
}

function row(
  code: string,
  total: number,
  series: readonly TrafficInterval[],
  of: (interval: TrafficInterval) => number,
): ErrorRow {
  const counts = series.map(of)
  const recent = counts.reduce((sum, value) => sum + value, 0)
  const top = scaleTop(Math.max(...counts, 0))
  const bars = counts.map((value) => ({ from: 0, to: value / top }))
  const drawn = chart(`${code}: ${count(recent)} in ten minutes`, [{ name: 'failed', bars }])
  return { total, recent, cells: [html`<code>${code}</code>`, drawn, count(recent), count(total)] }
}

function listed(label: string, head: string, rows: readonly ErrorRow[]): Html {
  if (rows.length === 0) return html`<p class="quiet">None since the start.</p>`
  const sorted = [...rows].sort((a, b) => b.total - a.total)
  return table(
    label,
    [head, 'Ten minutes', 'Count', 'Since start'],
    sorted.map(({ cells }) => cells),
    'errors',
  )
}
