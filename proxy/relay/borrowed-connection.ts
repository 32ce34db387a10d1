import type { UpstreamConnection } from './upstream-connection.ts'
import type { UpstreamPool } from './upstream-pool.ts'

/** The upstream connection that a call was sent on, until it goes back to its pool or ends. */
export class BorrowedConnection {
  #connection: UpstreamConnection | null = null
  #pool: UpstreamPool | null = null

  /** Null before the call is sent, and once the connection is gone. */
  get current(): UpstreamConnection | null {
    return this.#connection
  }

  take(connection: UpstreamConnection, pool: UpstreamPool): void {
    this.#connection = connection
    this.#pool = pool
  }

  pause(): void {
    this.#connection?.pause()
  }

  resume(): void {
    this.#connection?.resume()
  }

  /** After a whole answer: gives it back for another call, or ends it when it cannot carry one. */
  giveBack(canCarryAnother: boolean, keepAliveS: number): void {
    const connection = this.forget()
    if (connection === null) return
    if (!canCarryAnother) {
      connection.destroy()
      return
    }
    connection.reader.next()
    // It may have been paused while its answer was decided on, or not read fast enough.
    connection.resume()
    this.#pool?.release(connection, keepAliveS)
  }

  /** Ends it; returns what has ended. */
  destroy(): UpstreamConnection | null {
    const connection = this.forget()
    connection?.destroy()
    return connection
  }

  /** It is somebody else's, or gone; returns what it was. */
  forget(): UpstreamConnection | null {
    const connection = this.#connection
    this.#connection = null
    return connection
  }
}
