import type { AdviceEntry } from './advice/entry.ts'
import { eventAdvice } from './advice/of-events.ts'
import { mintAdvice } from './advice/of-mints.ts'
import { problemAdvice } from './advice/of-problems.ts'

/** What a person needs to know about a code, and where it is written at length. */
export interface Advice extends AdviceEntry {
  /** `docs/operations.md#secret_rejected` */
  readonly help: string
}

/** Every code and event there is advice for: those of problem answers, of failed mints, and of warnings and errors in the log. */
export const advised: Readonly<Record<string, AdviceEntry>> = {
  ...problemAdvice,
  ...mintAdvice,
  ...eventAdvice,
}

/** Where a code is explained; the sections of that page are made of this table. */
export const helpFor = (code: string): string => `docs/operations.md#${code}`

/** The advice for a code or an event; null for one that needs none, such as `token_minted`. */
export function adviceFor(code: string): Advice | null {
  const entry = Object.hasOwn(advised, code) ? advised[code] : undefined
  return entry === undefined ? null : { ...entry, help: helpFor(code) }
}
