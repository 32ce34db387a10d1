import type { Log } from '../lib/log.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Ticker } from './timeouts.ts'

/** One that waits for less may belong to a caller that is about to send, or still sending. */
const LEAST_WAIT_MS = 1000
/** How often it is told that there were too many connections. */
const TELL_EVERY_MS = 60_000

/**
 * The callers' connections, at most so many. When all places are taken, a new caller gets that of the connection that has
 * waited longest for a call, or for the rest of a head: first of those that will make no more, then of those that never made
 * one. Connections with a call under way keep theirs. So neither idle connections nor ones that dribble keep others out; only
 * calls do.
 */
export class Callers {
  readonly #most: number
  readonly #ticker: Ticker
  readonly #log: Log
  readonly #all = new Set<ClientConnection>()
  /** Those that may have to go, first to go last; looked for once a tick at most. */
  #waiting: ClientConnection[] = []
  #lookedAt = Number.NEGATIVE_INFINITY
  #toldAt = Number.NEGATIVE_INFINITY
  #displaced = 0
  #waited = 0
  #refused = 0

  constructor(most: number, ticker: Ticker, log: Log) {
    this.#most = most
    this.#ticker = ticker
    this.#log = log
  }

  get size(): number {
    return this.#all.size
  }

  add(caller: ClientConnection): void {
    this.#all.add(caller)
  }

  remove(caller: ClientConnection): void {
    this.#all.delete(caller)
  }

  [Symbol.iterator](): Iterator<ClientConnection> {
    return this.#all.values()
  }

  /** Whether there is a place for one more; one is made if need be. */
  makeRoom(): boolean {
    if (this.#all.size < this.#most) return true
    const displaced = this.#longestWaiting()
    if (displaced === null) return false
    this.#all.delete(displaced)
    displaced.destroy()
    this.#displaced++
    this.#tell()
    return true
  }

  /** One had to wait, for there was no place. */
  noteWaiting(): void {
    this.#waited++
    this.#tell()
  }

  /** One waited in vain. */
  noteRefused(): void {
    this.#refused++
    this.#tell()
  }

  #longestWaiting(): ClientConnection | null {
    if (this.#waiting.length === 0 && this.#lookedAt < this.#ticker.now) {
      this.#lookedAt = this.#ticker.now
      this.#waiting = [...this.#all].filter(mayGo).sort(byUrgency)
    }
    for (let caller = this.#waiting.pop(); caller !== undefined; caller = this.#waiting.pop()) {
      // It may have begun a call since, or ended.
      if (this.#all.has(caller) && mayGo(caller)) return caller
    }
    return null
  }

  #tell(): void {
    const { now } = this.#ticker
    if (now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    this.#log.warn('connections_full', {
      max_connections: this.#most,
      displaced: this.#displaced,
      waited: this.#waited,
      refused: this.#refused,
    })
    this.#displaced = 0
    this.#waited = 0
    this.#refused = 0
  }
}

const mayGo = (caller: ClientConnection): boolean => caller.waitedMs >= LEAST_WAIT_MS

const byUrgency = (a: ClientConnection, b: ClientConnection): number =>
  rankOf(a) - rankOf(b) || a.waitedMs - b.waitedMs

/** The higher, the sooner it has to go. */
function rankOf({ isLingering, hasServed }: ClientConnection): number {
  if (isLingering) return 2
  return hasServed ? 0 : 1
}
