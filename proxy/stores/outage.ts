import type { Log } from '../lib/log.ts'

/** Tells of trouble that may last once for each cause, at `warn`: what is tried every second must not be told every second. */
export class Outage {
  readonly #log: Log
  readonly #store: string
  readonly #event: string
  #told = ''

  constructor(log: Log, store: string, event: string) {
    this.#log = log
    this.#store = store
    this.#event = event
  }

  failed(error: unknown): void {
    const cause = String(error)
    this.#log[cause === this.#told ? 'debug' : 'warn'](this.#event, { store: this.#store, error })
    this.#told = cause
  }

  over(): void {
    this.#told = ''
  }
}
