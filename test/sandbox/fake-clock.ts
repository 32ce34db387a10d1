import type { SandboxClock } from '../../sandbox/clock.ts'

/** A clock that moves only when told, and then runs what is due, in order. */
export class FakeClock implements SandboxClock {
  #now: number
  readonly #due = new Set<{ at: number; run: () => void }>()

  constructor(start: string) {
    this.#now = Date.parse(start)
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#due.size
  }

  now(): number {
    return this.#now
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run }
    this.#due.add(timer)
    return () => this.#due.delete(timer)
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#due].sort((a, b) => a.at - b.at)
      if (next === undefined || next.at > end) break
      this.#due.delete(next)
      this.#now = next.at
      next.run()
    }
    this.#now = end
  }
}
