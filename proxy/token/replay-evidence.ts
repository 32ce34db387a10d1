import type { HeldToken } from './source.ts'

interface Replays {
  /** Calls that came back rejected after the mint of a newer token had been sent: it may have been that which killed them. */
  late: number
  /** Replays that were accepted. */
  accepted: number
}

/**
 * Whether accepted replays prove that a token had been dead before we replaced it. Our own mint kills calls under way, and
 * their replays are accepted whatever made us mint; an endpoint that rejects every token would pass for foreign mints. Which
 * call a replay belongs to is not known here, but numbers will do: once more replays have been accepted than calls came back
 * late, one of them must have been rejected earlier.
 */
export class ReplayEvidence {
  readonly #replays = new WeakMap<HeldToken, Replays>()

  /** A call came back rejected with `token` although that is being replaced, or is. */
  late(token: HeldToken): void {
    this.#of(token).late++
  }

  /** The replay of a call rejected with `token` was accepted. Returns whether that is proof. */
  accepted(token: HeldToken): boolean {
    const replays = this.#of(token)
    replays.accepted++
    return replays.accepted > replays.late
  }

  #of(token: HeldToken): Replays {
    const known = this.#replays.get(token)
    if (known !== undefined) return known
    const replays = { late: 0, accepted: 0 }
    this.#replays.set(token, replays)
    return replays
  }
}
