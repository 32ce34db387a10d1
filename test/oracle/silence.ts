import type { Clock } from '../../proxy/lib/clock.ts'

/** Watches for nothing happening; one timer for as long as it watches, however often `touch` is called. */
export interface SilenceWatch {
  touch(): void
  stop(): void
}

/** Calls `onSilence` once, when `touch` has not been called for `limitMs`. */
export function watchSilence(clock: Clock, limitMs: number, onSilence: () => void): SilenceWatch {
  let lastAt = clock.monotonic()
  let cancel = clock.after(limitMs, check)

  return {
    touch() {
      lastAt = clock.monotonic()
    },
    stop() {
      cancel()
    },
  }

  function check(): void {
    const silentMs = clock.monotonic() - lastAt
    // Timers may fire up to 1 ms early by this clock.
    if (silentMs >= limitMs - 1) onSilence()
    else cancel = clock.after(limitMs - silentMs, check)
  }
}
