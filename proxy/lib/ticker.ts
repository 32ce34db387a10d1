import cron, { type Logger } from 'node-cron'
import type { Cancel } from './clock.ts'

/** Calls back at wall-clock times, by node-cron. */
export interface Ticker {
  /** At each full second. A beat that was missed (suspended machine, busy process) is skipped, not made up for. */
  everySecond(run: () => void): Cancel
  /** At the times of a cron expression, in UTC: the same for every replica, whatever zone its container is set to. */
  at(expression: string, run: () => void): Cancel
}

/** node-cron writes warnings to the console by itself; log lines are ours to write. */
const quiet: Logger = { info() {}, warn() {}, error() {}, debug() {} }

/** The real ticker. Its timers do not keep the process alive. */
export const cronTicker: Ticker = {
  everySecond: (run) => cronTicker.at('* * * * * *', run),
  at(expression, run) {
    const task = cron.schedule(expression, run, {
      timezone: 'UTC',
      logger: quiet,
      suppressMissedWarning: true,
      unref: true,
    })
    return () => void task.destroy()
  },
}
