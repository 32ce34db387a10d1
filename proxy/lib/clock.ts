import { performance } from 'node:perf_hooks'

/** Ends what `after` or `every` began; calling it twice is harmless. */
export type Cancel = () => void

/** Time as an argument, so that a test can hold two replicas with different clocks in one process. */
export interface Clock {
  /** Wall clock, epoch milliseconds. May jump; compared with `valid_till` only. */
  now(): number
  /** Milliseconds that never go back, from an arbitrary origin. Deadlines, pauses and leases are measured with it. */
  monotonic(): number
  /**
   * Runs `run` once after `delayMs`. Keeps the process alive. In a process that did not run when it was time (throttled,
   * stopped, busy), what has arrived meanwhile is dealt with first.
   */
  after(delayMs: number, run: () => void): Cancel
  /** Resolves after `delayMs`; rejects with the signal's reason when that aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

/** Node fires a longer timer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** A timer this late says that the process stood still. */
const LATE_MS = 20

/** The real clock, and the only place that names timers and `Date.now`. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    if (delayMs > LONGEST_TIMER_MS) {
      let cancel = systemClock.after(LONGEST_TIMER_MS, () => {
        cancel = systemClock.after(delayMs - LONGEST_TIMER_MS, run)
      })
      return () => cancel()
    }
    const dueAt = performance.now() + delayMs
    let late: NodeJS.Immediate | undefined
    const timer = setTimeout(
      () => {
        // Node runs timers before it reads sockets: a deadline would beat the answer that has long been there, and the answer
        // of a mint that counts as lost costs a token.
        if (performance.now() - dueAt < LATE_MS) run()
        else late = setImmediate(run)
      },
      Math.max(0, delayMs),
    )
    return () => {
      clearTimeout(timer)
      clearImmediate(late)
    }
  },
  sleep(delayMs, signal) {
    return sleepWith((ms, run) => systemClock.after(ms, run), delayMs, signal)
  },
}

/** Runs `run` once all events that are known by now have been dealt with, before the process waits for more. */
export function afterEvents(run: () => void): void {
  setImmediate(run)
}

/** Runs `run` again and again. Does not keep the process alive; a beat that was missed is not made up for. */
export function every(periodMs: number, run: () => void): Cancel {
  const timer = setInterval(run, periodMs).unref()
  return () => clearInterval(timer)
}

/** `Clock.sleep` for any `after`: shared with the clocks that tests make. */
export function sleepWith(
  after: Clock['after'],
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
