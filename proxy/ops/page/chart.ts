import { type Html, html } from '../html.ts'
import { READING_EVERY_S, READINGS_KEPT } from '../traffic-history.ts'

/** Charts are one unit wide for each reading and are stretched to the place they get. */
const WIDTH = READINGS_KEPT
const HEIGHT = 40
const BAR_WIDTH = 0.8

/** One bar of a chart; heights from 0 (bottom) to 1 (top). */
export interface Bar {
  readonly from: number
  readonly to: number
}

/** Bars of one meaning: `name` is their class in the style sheet. The last one is of this moment; null leaves a gap. */
export interface Series {
  readonly name: string
  readonly bars: readonly (Bar | null)[]
}

/** `marks`: how many seconds ago something happened that is shown by a line from top to bottom. */
export function chart(label: string, series: readonly Series[], marks: readonly number[] = []): Html {
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">${series.map(
    ({ name, bars }) => html`<path class="${name}" d="${barPath(bars)}"/>`,
  )}<path class="mark" d="${markPath(marks)}"/></svg>`
}

/** All bars as one path: an element for each would make every update ten times as large. */
function barPath(bars: readonly (Bar | null)[]): string {
  const first = WIDTH - bars.length
  return bars
    .map((bar, index) => {
      if (bar === null || bar.to <= bar.from) return ''
      const top = round((1 - Math.min(1, bar.to)) * HEIGHT)
      const bottom = round((1 - Math.max(0, bar.from)) * HEIGHT)
      return first + index < 0 ? '' : `M${first + index} ${bottom}V${top}h${BAR_WIDTH}V${bottom}z`
    })
    .join('')
}

function markPath(marks: readonly number[]): string {
  return marks
    .map((agoS) => WIDTH - agoS / READING_EVERY_S)
    .filter((x) => x > 0)
    .map((x) => `M${round(x)} 0V${HEIGHT}`)
    .join('')
}

/** The next of 1, 2, 5, 10, 20, … at or above: a scale that changes seldom. */
export function scaleTop(highest: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(highest, 1)))
  const step = [1, 2, 5, 10].find((factor) => factor * magnitude >= highest) ?? 10
  return step * magnitude
}

const round = (value: number): number => Math.round(value * 100) / 100
