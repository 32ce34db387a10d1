import { type Html, html } from '../html.ts'
import { isoInstant } from '../status.ts'
import { formatSpan } from '../time-span.ts'

/** `1.2 ms`, `34 ms`, `1.5 s`; `–` for null. */
export function latency(seconds: number | null): string {
  if (seconds === null) return '–'
  const ms = seconds * 1_000
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
}

/** `0.4`, `12`, `1,234`: calls a second. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return '0'
  return perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond))
}

/** Digits in groups of three. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `12:34:56`, in UTC as logs have it; with the day when that is not today. */
export function clockTime(epochMs: number, now: number): string {
  const iso = isoInstant(epochMs)
  const today = isoInstant(now)
  if (iso === null || today === null) return '–'
  const time = iso.slice(11, 19)
  return iso.slice(0, 10) === today.slice(0, 10) ? time : `${iso.slice(0, 10)} ${time}`
}

/** `in 4 min 3 s`, `2 h ago`, `now`. */
export function distance(epochMs: number, now: number): string {
  const span = formatSpan(Math.abs(epochMs - now))
  if (span === '0 s') return 'now'
  return epochMs > now ? `in ${span}` : `${span} ago`
}

/** The instant by the clock, for programs as well. */
export function instant(epochMs: number, now: number): Html {
  return html`<time datetime="${isoInstant(epochMs)}">${clockTime(epochMs, now)}</time>`
}
