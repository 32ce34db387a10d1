import type { HeldToken } from '../token/source.ts'
import type { CarriedToken } from './carried-token.ts'
import type { Destination } from './destination.ts'
import type { RelayContext } from './relay-context.ts'
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
  /** The connection that is being opened, with the token for it and when that was chosen (monotonic ms). */
  #opening: UpstreamConnection | null = null
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
  begin(destination: Destination, lines: string, isIdempotent: boolean): void {
    this.#destination = destination
    this.#lines = lines
    this.#isIdempotent = isIdempotent
    this.#hasWaited = false
  }

  /** Whether the call may be sent once more when its connection breaks before an answer. */
  get isRepeatable(): boolean {
    return this.#isIdempotent && this.#upload.isReplayable
  }

  /** Sends the call with the token that is to be used now. */
  send(onFreshConnection: boolean): void {
    const token = (this.#destination as Destination).route.tokens.peek(this.#upload.isReplayable)
    if (token === null) this.#hold()
    else this.#connect(token, onFreshConnection)
  }

  /** Sends the call once more, with the token that replaces a rejected one. */
  sendAgain(token: HeldToken): void {
    this.#hasWaited = true
    this.#connect(token, false)
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
        this.#connect(token, false)
      },
      (error) => this.#call.onUnsendable(error),
    )
  }

  #stopHolding(): void {
    this.#isHolding = false
    this.#context.counters.held--
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
