/** Time as the sandbox needs it. A test passes its own, so that a day or a token's life passes at once. */
export interface SandboxClock {
  /** Wall clock, epoch milliseconds. */
  now(): number
  /** Runs `run` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void
}

/** The real clock, and the only place of the sandbox that names timers. */
export const systemClock: SandboxClock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Longest delay Node keeps; a longer timer fires at once. */
export const LONGEST_DELAY_MS = 2 ** 31 - 1

/** A clock that knows what it still has to run, so that closing the sandbox leaves no timer behind. */
export class Timers implements SandboxClock {
  readonly #clock: SandboxClock
  readonly #pending = new Set<() => void>()

  constructor(clock: SandboxClock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  after(delayMs: number, run: () => void): () => void {
    const cancelTimer = this.#clock.after(delayMs, () => {
      this.#pending.delete(cancel)
      run()
    })
    const cancel = () => {
      this.#pending.delete(cancel)
      cancelTimer()
    }
    this.#pending.add(cancel)
    return cancel
  }

  /** Resolves after `delayMs`, at once for 0; never when `cancelAll` comes first. */
  async sleep(delayMs: number): Promise<void> {
    if (delayMs > 0) await new Promise<void>((resolve) => void this.after(delayMs, resolve))
  }

  cancelAll(): void {
    for (const cancel of this.#pending) cancel()
  }
}
