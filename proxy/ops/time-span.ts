const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** `3 d 4 h`, `12 min 5 s`, `0 s`: a length of time (ms, not negative) in its two largest units, rounded down. */
export function formatSpan(spanMs: number): string {
  const largest = UNITS.findIndex(([, unitMs]) => spanMs >= unitMs)
  if (largest === -1) return '0 s'
  let restMs = spanMs
  const parts: string[] = []
  for (const [unit, unitMs] of UNITS.slice(largest, largest + 2)) {
    const count = Math.floor(restMs / unitMs)
    restMs -= count * unitMs
    if (count > 0) parts.push(`${count} ${unit}`)
  }
  return parts.join(' ')
}
