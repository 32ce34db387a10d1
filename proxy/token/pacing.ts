import type { DailyRequests } from './store.ts'

/** How often the token API may be asked; all numbers here follow from its quota of 288 requests a UTC day and secret. */

const DAY_MS = 24 * 60 * 60_000

/** The UTC day of an instant, as the store counts by it: `2026-11-22`. */
export function utcDay(now: number): string {
  return new Date(now).toISOString().slice(0, 10)
}

/** Milliseconds until 00:00 UTC, when the quota is reset. Never 0. */
export function untilMidnightMs(now: number): number {
  return DAY_MS - (((now % DAY_MS) + DAY_MS) % DAY_MS)
}

/**
 * Requests counted so far today. Those of tomorrow are, too: a replica whose clock is ahead counts for the fleet (see the
 * store's `begin`). Yesterday's count is nobody's business, and a day further ahead is a wrong clock's.
 */
export function requestsToday(requests: DailyRequests, now: number): number {
  const { day, count } = requests
  return day === utcDay(now) || day === utcDay(now + DAY_MS) ? count : 0
}

/** Share of the budget below which the rest is spread over what is left of the day. */
const LOW_SHARE = 0.25

/**
 * Least pause since the last request so that the budget lasts until 00:00 UTC: 0 while plenty is left, then growing;
 * `Infinity` when nothing is left.
 */
export function budgetPauseMs(requests: DailyRequests, budget: number, now: number): number {
  const left = budget - requestsToday(requests, now)
  if (left <= 0) return Number.POSITIVE_INFINITY
  return left > budget * LOW_SHARE ? 0 : untilMidnightMs(now) / (left + 1)
}

/** Full jitter (uniform between 0 and the ceiling, which doubles): many clients that failed together do not return together. */
export function backoffMs(failures: number, firstMs: number, longestMs: number, random: number): number {
  return random * growing(failures, firstMs, longestMs)
}

const SECOND_MS = 1_000
/** So many failures in a row are taken for a short trouble, at whose end calls are still waiting. */
const SHORT_TROUBLE_FAILURES = 5

/**
 * Pause after a mint that failed, for the `failures`-th time in a row: full jitter below one second, two, four and so on
 * up to a minute; but the first five stay below a quarter of `HOLD_TIMEOUT`, so that the calls that wait live to see the end of a short trouble.
 */
export function retryPauseMs(failures: number, holdTimeoutMs: number, random: number): number {
  const patient = Math.max(SECOND_MS, holdTimeoutMs / 4)
  const longest = failures <= SHORT_TROUBLE_FAILURES ? Math.min(patient, 60 * SECOND_MS) : 60 * SECOND_MS
  return backoffMs(failures, SECOND_MS, longest, random)
}

/** `firstMs`, doubled with each further time, up to `longestMs`. `times` counts from 1. */
export function growing(times: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(30, Math.max(0, times - 1)))
}
