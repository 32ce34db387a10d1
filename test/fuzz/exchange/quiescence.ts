import { setImmediate as turn } from 'node:timers/promises'
import type { FakeClock } from '../../support/fake-clock.ts'

/** So many turns without a byte: what was sent over loopback has arrived, and was dealt with. */
const QUIET_TURNS = 5
const MOST_TURNS = 5_000

/** Knows whether anything still moves between the sockets of one run, and lets time pass only when nothing does. */
export class Quiescence {
  readonly #clock: FakeClock
  #moves = 0
  #advancing: Promise<void> = Promise.resolve()

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  /** To be called for every byte, connection and close that one of the peers sees. */
  readonly moved = (): void => {
    this.#moves++
  }

  async turns(count: number): Promise<void> {
    for (let left = count; left > 0; left--) await turn()
  }

  async quiet(): Promise<void> {
    for (let turns = 0, still = 0, last = this.#moves; still < QUIET_TURNS && turns < MOST_TURNS; turns++) {
      await turn()
      still = last === this.#moves ? still + 1 : 0
      last = this.#moves
    }
  }

  /** Lets time pass once nothing moves; when several ask, one after the other. */
  pass(ms: number): Promise<void> {
    this.#advancing = this.#advancing.then(async () => {
      await this.quiet()
      await this.#clock.advance(ms)
      await this.quiet()
    })
    return this.#advancing
  }
}
