import { type Clock, sleepWith } from '../../proxy/lib/clock.ts'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/**
 * A clock that stands still until a test moves it. Wall clock and monotonic clock are apart, as they are in a process:
 * `advance` moves both, `setWall` is what NTP, a person or a skewed host does to the wall clock alone.
 */
export class FakeClock implements Clock {
  #mono = 0
  #wall: number
  /** In the order they fall due; of two that fall due together, the one set first comes first. */
  #timers: readonly Timer[] = []

  constructor(wall: number | string = '2026-11-22T12:00:00Z') {
    this.#wall = epochMs(wall)
    // Handed around as plain functions, the way the system clock's may be.
    this.after = this.after.bind(this)
    this.sleep = this.sleep.bind(this)
    this.now = this.now.bind(this)
    this.monotonic = this.monotonic.bind(this)
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#mono
  }

  after(delayMs: number, run: () => void): () => void {
    if (!(delayMs < Number.POSITIVE_INFINITY))
      throw new RangeError(`a timer of ${delayMs} ms would never fire`)
    const timer: Timer = { at: this.#mono + Math.max(0, delayMs), run }
    const later = this.#timers.findIndex((other) => other.at > timer.at)
    const place = later === -1 ? this.#timers.length : later
    this.#timers = this.#timers.toSpliced(place, 0, timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this.after, delayMs, signal)
  }

  /** Timers that have neither run nor been cancelled: what a test looks at to see that nothing was left behind. */
  get pending(): number {
    return this.#timers.length
  }

  /** Sets the wall clock; nothing falls due by it. */
  setWall(wall: number | string): void {
    this.#wall = epochMs(wall)
  }

  /** Moves the wall clock alone, forwards or backwards. */
  jumpWall(byMs: number): void {
    this.#wall += byMs
  }

  /**
   * Lets time pass. Timers run in order, each at its own instant; after each, everything it set off is let settle, so that
   * a timer set by it within the time that passes runs as well.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#mono + ms
    await settled()
    for (let next = this.#timers[0]; next !== undefined && next.at <= end; next = this.#timers[0]) {
      this.#moveTo(next.at)
      this.#timers = this.#timers.slice(1)
      next.run()
      await settled()
    }
    this.#moveTo(end)
    await settled()
  }

  /** Lets a process sleep through: both clocks move at once, timers that fell due meanwhile run late, at the end. */
  async suspend(ms: number): Promise<void> {
    this.#moveTo(this.#mono + ms)
    await this.advance(0)
  }

  #moveTo(mono: number): void {
    this.#wall += Math.max(0, mono - this.#mono)
    this.#mono = Math.max(this.#mono, mono)
  }
}

/** Resolves when every promise that could be settled without time or I/O has been. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function epochMs(wall: number | string): number {
  const ms = typeof wall === 'number' ? wall : Date.parse(wall)
  if (Number.isNaN(ms)) throw new TypeError(`not a time: ${wall}`)
  return ms
}
