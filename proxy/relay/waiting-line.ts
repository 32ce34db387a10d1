import type { Socket } from 'node:net'
import type { Ticker, Timed } from './timeouts.ts'

/** As many as Node lets the system keep for it before they are accepted. */
const MOST_WAITING = 511
/** Where nobody is let in for so long, all places are taken by long calls: a caller is better off knowing. */
const STANDSTILL_MS = 2000
const LONGEST_WAIT_MS = 10_000

interface Waiting {
  readonly socket: Socket
  /** Monotonic ms. */
  readonly since: number
}

/** What the line leads to. */
export interface Places {
  /** False when there is none. */
  letIn(socket: Socket): boolean
  noteWaiting(): void
  noteRefused(): void
}

/**
 * Callers that have come and have no place yet, first come first let in. Places mostly become free within milliseconds, so a
 * burst is worth waiting through as long as the line moves. Nothing is read from those who wait.
 */
export class WaitingLine implements Timed {
  readonly #ticker: Ticker
  readonly #places: Places
  readonly #line: Waiting[] = []
  #movedAt = Number.NEGATIVE_INFINITY

  constructor(ticker: Ticker, places: Places) {
    this.#ticker = ticker
    this.#places = places
  }

  /** Lets the caller in as soon as there is a place; when too many wait already, turns it away. */
  join(socket: Socket): void {
    this.#line.push({ socket, since: this.#ticker.exactNow() })
    this.advance()
    if (this.#line.length === 0) return
    if (this.#line.length > MOST_WAITING) {
      this.#turnAway(MOST_WAITING)
      return
    }
    this.#places.noteWaiting()
    this.#ticker.add(this)
  }

  /** There may be a place. */
  advance(): void {
    let letIn = 0
    for (const { socket } of this.#line) {
      if (!this.#places.letIn(socket)) break
      letIn++
    }
    if (letIn === 0) return
    this.#line.splice(0, letIn)
    this.#movedAt = this.#ticker.exactNow()
    this.#rest()
  }

  /** Turns all away. */
  clear(): void {
    while (this.#line.length > 0) this.#turnAway(0)
    this.#rest()
  }

  checkTime(now: number): void {
    this.advance()
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      const hasStood = now - Math.max(first.since, this.#movedAt) >= STANDSTILL_MS
      if (!hasStood && now - first.since < LONGEST_WAIT_MS) return
      this.#turnAway(0)
    }
    this.#rest()
  }

  /** No time needs to be kept for nobody. */
  #rest(): void {
    if (this.#line.length === 0) this.#ticker.remove(this)
  }

  #turnAway(at: number): void {
    for (const { socket } of this.#line.splice(at, 1)) socket.destroy()
    this.#places.noteRefused()
  }
}
