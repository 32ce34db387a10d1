import type { HeldToken, TokenSource } from '../token/source.ts'
import type { Answer } from './answer.ts'
import type { CarriedToken } from './carried-token.ts'
import type { TrafficCounters } from './counters.ts'
import type { Piece } from './piece.ts'
import type { TokenWait } from './token-wait.ts'

/** A whole rejected answer as its caller will see it should the second one be a rejection too. */
export interface FirstRejection {
  readonly piece: Piece
  readonly status: number
  readonly leavesClientOpen: boolean
}

/** Two tokens may die under one call: a rotation of ours and, right behind it, somebody else's mint. */
const MOST_REPLAYS = 2

/** What a call's answers say about tokens: whether it is sent again, and what becomes of that. */
export class Replay {
  readonly #counters: TrafficCounters
  readonly #carried: CarriedToken
  readonly #wait: TokenWait
  /** The token that was rejected last, while the replay has no answer. */
  #replaced: HeldToken | null = null
  #replays = 0
  #first: FirstRejection | null = null
  /** What there is of the rejected answer's body, while it is being decided. */
  #bytes: Buffer | null = null

  constructor(counters: TrafficCounters, carried: CarriedToken, wait: TokenWait) {
    this.#counters = counters
    this.#carried = carried
    this.#wait = wait
  }

  /** The call was sent again. */
  get wasSent(): boolean {
    return this.#replays > 0
  }

  begin(): void {
    this.#replays = 0
  }

  /** The upstream took the token. */
  accepted(status: number, tokens: TokenSource): void {
    const isProof = this.#carried.accept(status)
    const replaced = this.#replaced
    if (replaced === null) return
    this.#replaced = null
    this.#counters.replays.accepted++
    if (isProof) tokens.replayAccepted(replaced)
  }

  /**
   * The call was rejected. True: the answer waits until `onDecided` tells the token to send the call again with, or null.
   * False: the call cannot be sent again, or was already as often as it may be.
   */
  considers(
    tokens: TokenSource,
    isReplayable: boolean,
    bytes: Buffer,
    onDecided: (replacement: HeldToken | null) => void,
  ): boolean {
    const { token, sentAt } = this.#carried
    const isReplay = this.wasSent
    const isLast = this.#replays === MOST_REPLAYS
    const replayable = isReplayable && !isLast
    this.#wait.replacement(tokens, token, sentAt, { replayable, isReplay }, replayable ? onDecided : () => {})
    if (isReplay) {
      this.#replaced = null
      this.#counters.replays.rejected++
    }
    if (!replayable) {
      if (!isLast) this.#counters.unreplayable++
      return false
    }
    this.#bytes = Buffer.from(bytes)
    return true
  }

  /** More of the rejected answer: TLS hands over what it has decrypted even when it is paused. */
  add(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes as Buffer, bytes])
  }

  takeAnswer(): Buffer {
    const bytes = this.#bytes as Buffer
    this.#bytes = null
    return bytes
  }

  /** The call is sent again. Whether the whole of the rejected answer was read; what is left of a longer one nobody will see. */
  begins(answer: Answer, isRequestComplete: boolean): boolean {
    this.#replaced = this.#carried.token
    this.#carried.release()
    this.#replays++
    const bytes = this.takeAnswer()
    if (this.#first !== null) return answer.discard(bytes)
    if (!isRequestComplete) return false
    const piece = answer.start(bytes, 0, bytes.length)
    if (piece === null || !answer.isComplete) return false
    const { status, leavesClientOpen } = answer
    this.#first = { piece, status, leavesClientOpen }
    return true
  }

  /** The rejection that its caller gets when a replay was rejected, too; null when it was too long to keep, or there was none. */
  get first(): FirstRejection | null {
    return this.#first
  }

  /** The call has ended. */
  end(): void {
    if (this.#replaced !== null) this.#counters.replays.failed++
    this.#replaced = null
    this.#first = null
    this.#bytes = null
  }
}
