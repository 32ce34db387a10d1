import { type Html, html } from '../html.ts'
import { type Bar, chart, scaleTop } from './chart.ts'
import type { PageFacts } from './facts.ts'
import { count, latency, rate } from './figures.ts'
import { figures, table } from './table.ts'
import { intervals, latest, type TrafficInterval } from './traffic-series.ts'

/** Latency charts have a fixed scale, by powers of ten: what is far apart in time stays comparable at a glance. */
const LATENCY_TICKS = ['10 s', '1 s', '100 ms', '10 ms', '1 ms']
const LATENCY_DECADES = LATENCY_TICKS.length - 1

const NOW_S = 10
const MINUTE_S = 60

/** Rate, latency and what calls went through, with ten minutes of charts. */
export function callSection(facts: PageFacts): Html {
  const { readings, counters, credentials, now } = facts
  const series = intervals(readings)
  const minute = latest(readings, MINUTE_S)
  const marks = credentials.flatMap(({ mints }) =>
    mints.recent.filter(({ generation }) => generation !== null).map(({ at }) => (now - at) / 1_000),
  )
  const { accepted, rejected, failed } = counters.replays
  return html`<section id="calls" aria-labelledby="calls-name">
<h2 id="calls-name">Calls</h2>
<div class="card">
<div class="columns even">
${rateChart(series, latest(readings, NOW_S), marks)}
${latencyChart(series, minute, marks)}
</div>
${figures([
  ['In flight', count(counters.inFlight)],
  ['Held for a token', count(counters.held)],
  ['Sent again', count(accepted + rejected + failed)],
  ['Of these accepted', count(accepted)],
  ['Could not be sent again', count(counters.unreplayable)],
  ['Upstream connections', `${count(counters.upstreamActive)} active, ${count(counters.upstreamIdle)} idle`],
])}
<details id="by-minute"><summary>The same by minute, as a table</summary>${minutes(facts)}</details>
</div>
</section>`
}

function rateChart(
  series: readonly TrafficInterval[],
  present: TrafficInterval,
  marks: readonly number[],
): Html {
  const rates = series.map(({ calls, seconds }) => (seconds > 0 ? calls / seconds : 0))
  const highest = Math.max(...rates, 0)
  const top = scaleTop(highest)
  const scaled = (value: (interval: TrafficInterval) => number): Bar[] =>
    series.map((interval) => ({
      from: 0,
      to: interval.seconds > 0 ? value(interval) / interval.seconds / top : 0,
    }))
  const current = present.seconds > 0 ? present.calls / present.seconds : 0
  return html`<figure>
<figcaption><span class="name">Calls a second</span>${values([
    ['now', rate(current)],
    ['highest', rate(highest)],
  ])}</figcaption>
<div class="plot"><div class="ticks" aria-hidden="true"><span>${count(top)}</span><span>0</span></div>${chart(
    `Calls a second over ten minutes: now ${rate(current)}, highest ${rate(highest)}`,
    [
      { name: 'all', bars: scaled(({ calls }) => calls) },
      { name: 'failed', bars: scaled(({ failed }) => failed) },
    ],
    marks,
  )}</div>
${axis()}
<p class="legend"><span class="key all">answered</span> <span class="key failed">with 400 and above</span> <span class="key mark">new token</span></p>
</figure>`
}

function latencyChart(
  series: readonly TrafficInterval[],
  minute: TrafficInterval,
  marks: readonly number[],
): Html {
  const bars = series.map(({ p50, p99 }) =>
    p50 === null || p99 === null
      ? null
      : { from: onScale(p50), to: Math.max(onScale(p99), onScale(p50) + 0.03) },
  )
  const middles = series.map(({ p50 }) =>
    p50 === null ? null : { from: onScale(p50) - 0.02, to: onScale(p50) + 0.02 },
  )
  return html`<figure>
<figcaption><span class="name">Latency in the last minute</span>${values([
    ['p50', latency(minute.p50)],
    ['p95', latency(minute.p95)],
    ['p99', latency(minute.p99)],
  ])}</figcaption>
<div class="plot"><div class="ticks" aria-hidden="true">${LATENCY_TICKS.map((tick) => html`<span>${tick}</span>`)}</div>${chart(
    `Latency over ten minutes, from half of the calls to 99 in 100; in the last minute ${latency(minute.p50)} and ${latency(minute.p99)}`,
    [
      { name: 'band', bars },
      { name: 'middle', bars: middles },
    ],
    marks,
  )}</div>
${axis()}
<p class="legend"><span class="key middle">p50</span> <span class="key band">up to p99</span> <span class="key mark">new token</span></p>
</figure>`
}

function values(pairs: readonly (readonly [name: string, value: string])[]): Html {
  return html`<span class="values">${pairs.map(([name, value]) => html`<span><span class="quiet">${name}</span> <strong>${value}</strong></span> `)}</span>`
}

const axis = (): Html =>
  html`<div class="axis" aria-hidden="true"><span>10 min ago</span><span>5</span><span>now</span></div>`

/** 1 ms is the bottom, each power of ten one step. */
function onScale(seconds: number): number {
  return Math.min(1, Math.max(0, Math.log10(Math.max(seconds, 1e-6) * 1_000) / LATENCY_DECADES))
}

/** The charts' content for who cannot see them. */
function minutes({ readings }: PageFacts): Html {
  const end = readings.at(-1)?.at ?? 0
  const rows = Array.from({ length: 10 }, (_, index) => {
    const until = readings.findLast(({ at }) => at <= end - index * MINUTE_S * 1_000)
    const part = until === undefined ? [] : readings.slice(0, readings.indexOf(until) + 1)
    return part.length < 2 ? null : { index, ...latest(part, MINUTE_S) }
  })
  return table(
    'Calls by minute',
    ['Minutes ago', 'Calls', 'Of 400 and above', 'p50', 'p95', 'p99'],
    rows.flatMap((row) =>
      row === null
        ? []
        : [
            [
              `${row.index} to ${row.index + 1}`,
              count(row.calls),
              count(row.failed),
              latency(row.p50),
              latency(row.p95),
              latency(row.p99),
            ],
          ],
    ),
    'numbers',
  )
}
