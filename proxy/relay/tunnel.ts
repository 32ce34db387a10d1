import type { ClientConnection } from './client-connection.ts'
import { headWith } from './piece.ts'
import { CALLER_SILENCE_MS, HALF_CLOSED_MS, type Ticker } from './timeouts.ts'
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts'

/**
 * Two connections joined after a WebSocket handshake: bytes, back-pressure and half-closes pass both ways. Silence is no
 * reason to end it until one side has closed; then the other has a short while to say its last.
 */
export class Tunnel implements UpstreamUser {
  readonly #client: ClientConnection
  readonly #upstream: UpstreamConnection
  readonly #ticker: Ticker
  readonly #onClosed: () => void
  #closingSince = Number.POSITIVE_INFINITY
  #endedSides = 0

  constructor(client: ClientConnection, upstream: UpstreamConnection, ticker: Ticker, onClosed: () => void) {
    this.#client = client
    this.#upstream = upstream
    this.#ticker = ticker
    this.#onClosed = onClosed
  }

  onConnected(): void {}

  onUpstreamBytes(bytes: Buffer, length: number): void {
    this.#stayOpen()
    if (!this.#client.write(headWith('', bytes, 0, length))) this.#upstream.pause()
  }

  onClientBytes(bytes: Buffer, length: number): void {
    this.#stayOpen()
    if (!this.#upstream.write(headWith('', bytes, 0, length))) this.#client.pauseBody()
  }

  onUpstreamDrain(): void {
    this.#stayOpen()
    this.#client.resumeBody()
  }

  onClientDrain(): void {
    this.#stayOpen()
    this.#upstream.resume()
  }

  onUpstreamEnd(): void {
    this.#client.endSending()
    this.#ended()
  }

  onClientEnd(): void {
    this.#upstream.end()
    this.#ended()
  }

  onUpstreamClosed(): void {
    this.#onClosed()
  }

  checkTime(now: number): void {
    // Who takes a while for what was said before the other side closed is not silent.
    const isBusy = this.#client.isBlocked || this.#upstream.isBlocked
    if (now - this.#closingSince >= (isBusy ? CALLER_SILENCE_MS : HALF_CLOSED_MS)) this.#close()
  }

  /** Ends the upstream's side; the client's has ended or will be ended by whoever calls. */
  destroy(): void {
    this.#upstream.destroy()
  }

  #stayOpen(): void {
    if (this.#endedSides > 0) this.#closingSince = this.#ticker.now
  }

  #ended(): void {
    this.#endedSides++
    this.#closingSince = this.#ticker.now
    if (this.#endedSides < 2) return
    this.#upstream.destroySoon()
    this.#onClosed()
  }

  #close(): void {
    this.#upstream.destroy()
    this.#onClosed()
  }
}
