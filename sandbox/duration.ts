const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `250ms`, `20s`, `5m`, `12h` or `2d`; undefined for anything else, and for nothing at all. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text)
  if (match === null) return undefined
  const ms = Number(match[1]) * unitsMs[match[2] as keyof typeof unitsMs]
  return ms > 0 ? ms : undefined
}

/** The duration in the largest unit that divides it. */
export function formatDuration(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => ms % unitsMs[name] === 0) ?? 'ms'
  return `${ms / unitsMs[unit]}${unit}`
}
