import type { Logger } from 'node-cron'
import { type Cancel, every, systemClock } from './clock.ts'
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

const SECOND_MS = 1_000
/** The wall clock was set, or the machine slept: between two beats it went on by so much more or less than the other clock. */
const JUMP_MS = 2_000

/**
 * The real ticker: seconds by a timer, cron expressions by node-cron (why not both: docs/decisions/0007-tick.md). Its timers
 * do not keep the process alive.
 */
export const cronTicker: Ticker = {
  everySecond: (run) => every(SECOND_MS, run),
  at(expression, run) {
    const task = nodeCron.load().schedule(expression, run, {
      timezone: 'UTC',
      logger: quiet,
      suppressMissedWarning: true,
      unref: true,
    })
    let offset = wallOffsetMs()
    const cancelWatch = every(SECOND_MS, () => {
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
