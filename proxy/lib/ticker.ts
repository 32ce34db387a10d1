import cron, { type Logger } from 'node-cron'
import { type Cancel, repeat, systemClock } from './clock.ts'

/** Calls back every second, and at wall-clock times by node-cron. */
export interface Ticker {
  /** Whatever is done to the wall clock. A beat that was missed (suspended machine, busy process) is skipped, not made up for. */
  everySecond(run: () => void): Cancel
  /** At the times of a cron expression, in UTC: the same for every replica, whatever zone its container is set to. */
  at(expression: string, run: () => void): Cancel
}

/** node-cron writes warnings to the console by itself; log lines are ours to write. */
const quiet: Logger = { info() {}, warn() {}, error() {}, debug() {} }

const SECOND_MS = 1_000
/** The wall clock was set, or the machine slept: between two beats it went on by so much more or less than the other clock. */
const JUMP_MS = 2_000

/** The real ticker. Its timers do not keep the process alive. */
export const cronTicker: Ticker = {
  // Not by a cron expression, whose timer is set for a time of day: a clock set back by an hour would stop it for an hour.
  everySecond: (run) => repeat(SECOND_MS, run),
  at(expression, run) {
    const task = cron.schedule(expression, run, {
      timezone: 'UTC',
      logger: quiet,
      suppressMissedWarning: true,
      unref: true,
    })
    let offset = wallOffsetMs()
    const cancelWatch = repeat(SECOND_MS, () => {
      const now = wallOffsetMs()
      if (Math.abs(now - offset) < JUMP_MS) return
      offset = now
      // Its one long timer was set by the clock as it was.
      task.stop()
      task.start()
    })
    return () => {
      cancelWatch()
      void task.destroy()
    }
  },
}

function wallOffsetMs(): number {
  return systemClock.now() - systemClock.monotonic()
}
