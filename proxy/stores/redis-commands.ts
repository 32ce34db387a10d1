import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import { movedTo, presentUrl } from './redis-address.ts'
import { coded, connectServer, type RedisClient } from './redis-connection.ts'

/** A healthy server answers in a millisecond; the caller's own deadline has room for a script after a read. */
const COMMAND_TIMEOUT_MS = 1_000

/** A cluster whose nodes point at each other is being rearranged. */
const MOST_MOVES = 2

/**
 * The connection for scripts. It is opened by the first command and given up after any failure, so that the next command
 * begins with a fresh one: the server may have become a replica, moved to another address, or fallen silent without a
 * word, which TCP notices only after a quarter of an hour.
 */
export class RedisCommands {
  readonly #url: Secret
  readonly #clock: Clock
  readonly #closed = new AbortController()
  #opening: Promise<RedisClient> | null = null
  #client: RedisClient | null = null
  /** The node of a cluster that has the entry's slot, for the next connection. */
  #movedTo: Secret | null = null

  constructor(url: Secret, clock: Clock) {
    this.#url = url
    this.#clock = clock
  }

  /** Rejects with the server's or the system's error, the signal's reason, or a `TimeoutError` after about a second. */
  async run(command: readonly string[], signal: AbortSignal): Promise<unknown> {
    const bound = deadline(this.#clock, COMMAND_TIMEOUT_MS, signal)
    try {
      for (let moves = 0; ; moves++) {
        const client = await this.#connected(bound.signal)
        try {
          return await abortable(client.sendCommand(command), bound.signal)
        } catch (error) {
          if (!signal.aborted) this.#giveUp(client)
          this.#movedTo = movedTo(this.#url, error)
          if (this.#movedTo === null || moves === MOST_MOVES) throw coded(error)
        }
      }
    } finally {
      bound.clear()
    }
  }

  close(): void {
    this.#closed.abort(new Error('the store was closed'))
    if (this.#client !== null) this.#giveUp(this.#client)
  }

  /** An attempt to connect has a deadline of its own: were it given up with the command, a slow one would never succeed. */
  async #connected(signal: AbortSignal): Promise<RedisClient> {
    if (this.#client !== null) return this.#client
    if (this.#opening !== null) {
      try {
        return await abortable(this.#opening, signal)
      } catch (error) {
        // It was begun for an earlier command, and perhaps too early.
        if (signal.aborted) throw error
      }
    }
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return abortable(this.#opening, signal)
  }

  async #open(): Promise<RedisClient> {
    const lost = () => {
      if (this.#client === client) this.#client = null
    }
    const { signal } = this.#closed
    const url = this.#movedTo ?? (await presentUrl(this.#url, this.#clock, signal))
    // Wherever the entry was, the next attempt begins at the address that was given.
    this.#movedTo = null
    const client = await connectServer(url, this.#clock, lost, signal)
    this.#client = client
    return client
  }

  #giveUp(client: RedisClient): void {
    if (this.#client === client) this.#client = null
    client.destroy()
  }
}
