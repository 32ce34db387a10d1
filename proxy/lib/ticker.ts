import type { Logger } from 'node-cron'
import { type Cancel, every } from './clock.ts'
import nodeCron from './node-cron.cjs'

/** Calls back as time passes. */
export interface Ticker {
  /** Each second. A beat that was missed (suspended machine, busy process) is skipped, not made up for. */
  everySecond(run: () => void): Cancel
  /** At the times of a cron expression, in UTC: the same for every replica, whatever zone its container is set to. */
  at(expression: string, run: () => void): Cancel
}

/** node-cron writes warnings to the console by itself; log lines are ours to write. */
const quiet: Logger = { info() {}, warn() {}, error() {}, debug() {} }

/**
 * The real ticker: seconds by a timer, cron expressions by node-cron (why not both: docs/decisions/0007-tick.md). Its timers
 * do not keep the process alive.
 */
export const cronTicker: Ticker = {
  everySecond: (run) => every(1000, run),
  at(expression, run) {
    const task = nodeCron.load().schedule(expression, run, {
      timezone: 'UTC',
      logger: quiet,
      suppressMissedWarning: true,
      unref: true,
    })
    return () => void task.destroy()
  },
}
