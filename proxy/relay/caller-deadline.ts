import {
  CALLER_SILENCE_MS,
  HALF_CLOSED_MS,
  HEAD_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  LINGER_MS,
  type Ticker,
} from './timeouts.ts'

/** Until when a caller's connection may stay as it is. */
export class CallerDeadline {
  readonly #ticker: Ticker
  /** Monotonic ms, as is what follows. */
  #at = 0
  /** Since when a call, the rest of its head, or the caller's end is awaited. */
  #waitingSince = 0

  constructor(ticker: Ticker) {
    this.#ticker = ticker
    this.awaitHead()
  }

  /** How long a call, the rest of its head, or the caller's end has been awaited, ms; it only means something while one is. */
  get waitedMs(): number {
    return this.#ticker.now - this.#waitingSince
  }

  isPast(now: number): boolean {
    return now >= this.#at
  }

  /** A head has begun, or the connection has. */
  awaitHead(): void {
    this.#waitingSince = this.#ticker.now
    this.#allow(HEAD_TIMEOUT_MS)
  }

  /** A call has ended. */
  awaitCall(): void {
    this.#waitingSince = this.#ticker.now
    this.#at = this.#waitingSince + IDLE_TIMEOUT_MS
  }

  /** The last answer has been written; `isTaken`: and has left. */
  linger(isTaken: boolean): void {
    this.#waitingSince = this.#ticker.now
    this.#allow(isTaken ? LINGER_MS : CALLER_SILENCE_MS)
  }

  /** The caller has closed its side while it waits for an answer. */
  halfClosed(): void {
    this.#allow(HALF_CLOSED_MS)
  }

  /** The clock that is read here may be a tick behind. */
  #allow(limitMs: number): void {
    this.#at = this.#ticker.now + this.#ticker.tickMs + limitMs
  }
}
