import { notThis, type Parser } from './parsed.ts'

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** 24 days. Node fires a timer at once when it is asked for more than 2^31 - 1 ms (24.8 days). */
export const LONGEST_DURATION_MS = 24 * 24 * DURATION_UNITS_MS.h

/** A whole number and a unit: `250ms`, `30s`, `5m`, `12h`. The value is in ms. */
export function duration({ zero }: { zero: 'allowed' | 'refused' }): Parser<number> {
  return (text) => {
    const match = /^(0|[1-9]\d*)(ms|s|m|h)$/.exec(text)
    if (match === null) {
      return { problem: `must be a whole number with a unit, such as 250ms, 30s, 5m or 12h${notThis(text)}` }
    }
    const value = Number(match[1]) * DURATION_UNITS_MS[match[2] as keyof typeof DURATION_UNITS_MS]
    if (value > LONGEST_DURATION_MS) {
      return { problem: `must be at most ${formatDuration(LONGEST_DURATION_MS)} (24 days)${notThis(text)}` }
    }
    if (value === 0 && zero === 'refused') return { problem: `must be longer than zero${notThis(text)}` }
    return { value }
  }
}

/** The shortest text that `duration` reads as `ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  if (ms % DURATION_UNITS_MS.h === 0) return `${ms / DURATION_UNITS_MS.h}h`
  if (ms % DURATION_UNITS_MS.m === 0) return `${ms / DURATION_UNITS_MS.m}m`
  if (ms % DURATION_UNITS_MS.s === 0) return `${ms / DURATION_UNITS_MS.s}s`
  return `${ms}ms`
}

const SIZE_UNITS_BYTES = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }

/** Bytes as a plain number or with a binary unit: `65536`, `64KiB`, `1MiB`. `min` and `max` are texts of the same form. */
export function size({ min, max }: { min: string; max: string }): Parser<number> {
  const minBytes = parseBytes(min)
  const maxBytes = parseBytes(max)
  return (text) => {
    const value = parseBytes(text)
    if (Number.isNaN(value)) {
      return { problem: `must be a size in bytes or with a unit, such as 64KiB or 1MiB${notThis(text)}` }
    }
    if (value < minBytes || value > maxBytes) {
      return { problem: `must be from ${min} to ${max}${notThis(text)}` }
    }
    return { value }
  }
}

/** NaN when the text is not a size. */
function parseBytes(text: string): number {
  const match = /^(0|[1-9]\d*)(KiB|MiB|GiB)?$/.exec(text)
  if (match === null) return Number.NaN
  const unit = match[2] as keyof typeof SIZE_UNITS_BYTES | undefined
  return Number(match[1]) * (unit === undefined ? 1 : SIZE_UNITS_BYTES[unit])
}
