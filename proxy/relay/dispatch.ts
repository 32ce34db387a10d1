import { afterEvents } from '../lib/clock.ts'
import type { HeldToken } from '../token/source.ts'
import type { CarriedToken } from './carried-token.ts'
import type { Destination } from './destination.ts'
import type { RelayContext } from './relay-context.ts'
import type { RequestHead } from './request-head.ts'
import type { TokenWait } from './token-wait.ts'
import type { Upload } from './upload.ts'
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts'

/** The call that is dispatched. */
export interface Dispatched extends UpstreamUser {
  /** Head and body leave on `upstream`, which is the call's from now on. */
  onSending(upstream: UpstreamConnection): void
  /** No token can be had, or none that may be sent. */
  onUnsendable(error: unknown): void
}

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** When connecting took longer, the token is chosen anew: it may have been replaced meanwhile. */
const TOKEN_RECHECK_MS = 100

/** Gets a call on its way: waits for a token if it has to, gets a connection, and sends head and body. */
export class Dispatch {
  readonly #context: RelayContext
  readonly #call: Dispatched
  readonly #upload: Upload
  readonly #carried: CarriedToken
  readonly #wait: TokenWait
  #destination: Destination | null = null
  /** Head lines before the token's. */
  #lines = ''
  #isIdempotent = false
  #opening: UpstreamConnection | null = null
  /** Counts calls and their looks at idle connections, so that a look knows whether it is still wanted. */
  #looks = 0
  /** The token for the connection that is opened or looked at, and when that was chosen (monotonic ms). */
  #chosen: HeldToken | null = null
  #chosenAt = 0
  #isHolding = false
  #hasWaited = false

  constructor(
    context: RelayContext,
    call: Dispatched,
    upload: Upload,
    carried: CarriedToken,
    wait: TokenWait,
  ) {
    this.#context = context
    this.#call = call
    this.#upload = upload
    this.#carried = carried
    this.#wait = wait
  }

  /** The next call, which is not sent yet. */
  begin(destination: Destination, head: RequestHead, target: string): void {
    this.#destination = destination
    this.#lines = head.forwarded(target, destination.hostLine)
    this.#isIdempotent = IDEMPOTENT.has(head.method)
    this.#hasWaited = false
  }

  /** Whether the call does no harm when it reaches the upstream twice (RFC 9110, section 9.2.2). */
  get isRepeatable(): boolean {
    return this.#isIdempotent && this.#upload.isReplayable
  }

  /** Whether the call may be sent once more after `lost` broke before an answer: also when it was never sent there. */
  mayGoAgain(lost: UpstreamConnection): boolean {
    return lost.hasRested && this.#upload.isReplayable && (this.#isIdempotent || lost.isUntouched)
  }

  /** Sends the call with the token that is to be used now. */
  send(onFreshConnection: boolean): void {
    const token = (this.#destination as Destination).route.tokens.peek(this.#upload.isReplayable)
    if (token === null) this.#hold()
    else if (onFreshConnection) this.#connect(token, true)
    else this.#lookAndConnect(token)
  }

  /** Sends the call once more, with the token that replaces a rejected one. */
  sendAgain(token: HeldToken): void {
    this.#hasWaited = true
    // The connection that the rejection came on is the next to be taken, and may have been ended right behind it.
    if (this.isRepeatable) this.#connect(token, false)
    else this.#look(token)
  }

  /** The connection that was opened for the call is there. */
  onConnected(): void {
    const upstream = this.#opening as UpstreamConnection
    const chosen = this.#chosen as HeldToken
    this.#opening = null
    this.#chosen = null
    const token = this.#rechecked(chosen)
    if (token !== null) {
      this.#sendOn(upstream, token)
      return
    }
    this.#destination?.pool.release(upstream, -1)
    this.#hold()
  }

  /** The connection that was being opened is gone. */
  onConnectFailed(): void {
    this.#opening = null
  }

  /** The call has ended, sent or not. */
  end(): void {
    if (this.#isHolding) this.#stopHolding()
    this.#looks++
    this.#lines = ''
    this.#chosen = null
    const opening = this.#opening
    if (opening === null) return
    this.#opening = null
    opening.destroy()
  }

  #hold(): void {
    this.#isHolding = true
    this.#hasWaited = true
    this.#context.counters.held++
    this.#wait.current(
      (this.#destination as Destination).route.tokens,
      this.#upload.isReplayable,
      (token) => {
        this.#stopHolding()
        this.#lookAndConnect(token)
      },
      (error) => this.#call.onUnsendable(error),
    )
  }

  #stopHolding(): void {
    this.#isHolding = false
    this.#context.counters.held--
  }

  /**
   * A call that cannot be repeated is lost on a connection that the upstream has closed. So before it takes one that was idle
   * for a while, what the system has reported is dealt with. Then it goes to the outbox, which waits for what one more poll
   * finds (see `mayGoAgain`). Only a close that is still on its way then remains unseen.
   */
  #lookAndConnect(token: HeldToken): void {
    if (this.isRepeatable || !(this.#destination as Destination).pool.isAtRest) {
      this.#connect(token, false)
      return
    }
    this.#look(token)
  }

  #look(token: HeldToken): void {
    this.#chosen = token
    this.#chosenAt = this.#context.clock.monotonic()
    const look = ++this.#looks
    afterEvents(() => this.#looked(look))
  }

  #looked(look: number): void {
    if (look !== this.#looks) return
    const chosen = this.#chosen as HeldToken
    this.#chosen = null
    const token = this.#rechecked(chosen)
    if (token === null) this.#hold()
    else this.#connect(token, false)
  }

  #connect(token: HeldToken, onFreshConnection: boolean): void {
    const { pool } = this.#destination as Destination
    const idle = onFreshConnection ? null : pool.takeIdle(this.#call, this.isRepeatable)
    if (idle !== null) {
      this.#sendOn(idle, token)
      return
    }
    this.#chosen = token
    this.#chosenAt = this.#context.clock.monotonic()
    this.#opening = pool.open(this.#call)
  }

  /** Null: the call has to wait. One that has waited before goes with what it was given, as long as that lives. */
  #rechecked(chosen: HeldToken): HeldToken | null {
    const { clock } = this.#context
    if (clock.monotonic() - this.#chosenAt < TOKEN_RECHECK_MS) return chosen
    const token = (this.#destination as Destination).route.tokens.peek(this.#upload.isReplayable)
    if (token !== null || !this.#hasWaited) return token
    return chosen.validTill === null || clock.now() < chosen.validTill ? chosen : null
  }

  #sendOn(upstream: UpstreamConnection, token: HeldToken): void {
    let head: string
    try {
      head = this.#lines + (this.#destination as Destination).credential.with(token)
    } catch (error) {
      upstream.destroy()
      this.#call.onUnsendable(error)
      return
    }
    this.#call.onSending(upstream)
    this.#carried.take(token, this.#context.clock.monotonic(), this.#upload.isReplayable)
    this.#upload.send(upstream, head)
  }
}
