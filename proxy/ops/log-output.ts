import type { Cancel, Clock } from '../lib/clock.ts'

export interface LogOutputParts {
  /** Takes text for the reader of the log; false: it was dropped, because the reader is behind. `lineWriter` makes one. */
  readonly write: (text: string) => boolean
  readonly clock: Pick<Clock, 'after'>
  /** The line that tells the reader, once it reads again, how many it did not get. */
  readonly droppedLine: (lines: number) => string
}

/** How long a line may wait for others, and how much may wait: few writes, and a log that a person can still follow. */
const LONGEST_WAIT_MS = 100
const LARGEST_WAIT_CHARS = 16_384

/**
 * The way out for all log lines, in order. Lines about calls wait for one another and leave together, since each write costs
 * a system call; others take along what waits and leave at once. Never waits for the reader: what it does not take in time is
 * dropped, counted and told of.
 */
export class LogOutput {
  readonly #parts: LogOutputParts
  #waiting = ''
  #waitingLines = 0
  #cancel: Cancel | null = null
  #dropped = 0

  constructor(parts: LogOutputParts) {
    this.#parts = parts
  }

  /** Lines that were dropped and not told of yet. */
  get dropped(): number {
    return this.#dropped
  }

  /** Writes a line now. */
  write(line: string): void {
    this.flush()
    this.#put(line, 1)
  }

  /** Writes a line soon. */
  add(line: string): void {
    this.#waiting += line
    this.#waitingLines++
    if (this.#waiting.length >= LARGEST_WAIT_CHARS) this.flush()
    else this.#cancel ??= this.#parts.clock.after(LONGEST_WAIT_MS, () => this.flush())
  }

  /** Writes what waits. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = null
    if (this.#waitingLines === 0) return
    const text = this.#waiting
    const lines = this.#waitingLines
    this.#waiting = ''
    this.#waitingLines = 0
    this.#put(text, lines)
  }

  #put(text: string, lines: number): void {
    const { write, droppedLine } = this.#parts
    if (this.#dropped > 0 && write(droppedLine(this.#dropped))) this.#dropped = 0
    if (!write(text)) this.#dropped += lines
  }
}
