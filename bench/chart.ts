/** One bar of a group. */
export interface Bar {
  readonly label: string
  readonly value: number
  readonly min: number
  readonly max: number
  /** Drawn in the accent colour. */
  readonly accent: boolean
}

/** Bars under one heading. */
export interface BarGroup {
  readonly title: string
  readonly bars: readonly Bar[]
}

const width = 760
const labelWidth = 190
const valueWidth = 150
const barHeight = 18
const rowHeight = 26
const headHeight = 44

/** A horizontal bar chart as SVG, one scale for all groups, with a whisker from least to greatest; readable on light and dark pages. */
export function barChart(title: string, unit: string, groups: readonly BarGroup[]): string {
  const greatest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ max }) => max)))
  const scale = (width - labelWidth - valueWidth) / greatest
  let y = 40
  const body = groups.map((group) => {
    const top = y
    y += headHeight + group.bars.length * rowHeight
    return groupSvg(group, unit, top, scale)
  })
  const height = y + 10
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
.bar { fill: #8c959f }
.accent { fill: #0969da }
.whisker { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #6e7681 }
  .accent { fill: #4493f8 }
  .whisker { stroke: #e6edf3 }
}
</style>
<text class="title" x="10" y="24">${escaped(title)}</text>
${body.join('\n')}
</svg>
`
}

function groupSvg({ title, bars }: BarGroup, unit: string, top: number, scale: number): string {
  const rows = bars.map((bar, index) => {
    const y = top + headHeight - 12 + index * rowHeight
    const middle = y + barHeight / 2
    const end = (value: number) => (labelWidth + value * scale).toFixed(1)
    return [
      `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end">${escaped(bar.label)}</text>`,
      `<rect class="${bar.accent ? 'accent' : 'bar'}" x="${labelWidth}" y="${y}" width="${(bar.value * scale).toFixed(1)}" height="${barHeight}" rx="2"/>`,
      `<line class="whisker" x1="${end(bar.min)}" x2="${end(bar.max)}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${Number(end(bar.max)) + 8}" y="${middle + 4}">${bar.value.toFixed(1)} ${escaped(unit)}</text>`,
    ].join('\n')
  })
  return [`<text class="group" x="10" y="${top + 20}">${escaped(title)}</text>`, ...rows].join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
