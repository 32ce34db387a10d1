import type { TlsFiles } from '../lib/tls.ts'
import type { TrafficCounters } from './counters.ts'
import type { Ticker, Timed } from './timeouts.ts'
import { UpstreamConnection, type UpstreamUser } from './upstream-connection.ts'
import { TlsClient } from './upstream-tls.ts'

/** How long an unused connection is kept when the upstream does not say how long it will. */
const IDLE_MS = 15_000
const LONGEST_IDLE_MS = 30_000
/** No upstream closes a connection sooner after an answer. */
const REST_MS = 5
/** Taken off what the upstream says: it counts from when it sent the answer. */
const IDLE_MARGIN_MS = 1000

/** No honest answer has a larger head. */
const RESPONSE_HEAD_LIMIT_BYTES = 65_536

export interface UpstreamPoolOptions {
  readonly connectTimeoutMs: number
  readonly tls: TlsFiles
}

/**
 * The connections to one origin. The one used last is used first, so that the others age and go. A name is resolved again for
 * each new connection. There are at most as many as there are callers' connections.
 */
export class UpstreamPool implements Timed {
  readonly hostname: string
  readonly port: number
  readonly tls: TlsClient | null
  readonly #connectTimeoutMs: number
  readonly #ticker: Ticker
  readonly #counters: TrafficCounters
  readonly #all = new Set<UpstreamConnection>()
  readonly #idle: UpstreamConnection[] = []

  constructor(origin: URL, options: UpstreamPoolOptions, ticker: Ticker, counters: TrafficCounters) {
    const isTls = origin.protocol === 'https:'
    this.hostname = origin.hostname.replace(/^\[|\]$/g, '')
    this.port = origin.port === '' ? (isTls ? 443 : 80) : Number(origin.port)
    this.tls = isTls ? new TlsClient(this.hostname, options.tls) : null
    this.#connectTimeoutMs = options.connectTimeoutMs
    this.#ticker = ticker
    this.#counters = counters
  }

  /** Monotonic ms of the latest tick. */
  get now(): number {
    return this.#ticker.now
  }

  /** Open connections, in use or not. */
  get size(): number {
    return this.#all.size
  }

  /**
   * A connection that is ready, or null. A call that must not be sent twice (RFC 9110, section 9.2.2) gets only one that has
   * waited for less than half the time it may: the upstream may close an older one just when the call is on its way.
   */
  takeIdle(user: UpstreamUser, isRepeatable: boolean): UpstreamConnection | null {
    for (;;) {
      const connection = this.#idle.at(-1)
      // The last one has waited least.
      if (connection === undefined || (!isRepeatable && connection.freshUntil <= this.#ticker.now))
        return null
      this.#idle.pop()
      this.#counters.upstreamIdle--
      this.#counters.upstreamActive++
      connection.user = user
      connection.deadline = Number.POSITIVE_INFINITY
      if (connection.isWritable) return connection
      connection.destroy()
    }
  }

  /**
   * Whether the connection that is next to be taken has waited so long that the upstream may have closed it already, in an
   * event that is still to be dealt with.
   */
  get isAtRest(): boolean {
    const connection = this.#idle.at(-1)
    return connection !== undefined && this.#ticker.exactNow() - connection.releasedAt > REST_MS
  }

  /** A new connection; the user is told when it is there, or that it failed. */
  open(user: UpstreamUser): UpstreamConnection {
    const connection = new UpstreamConnection(this, RESPONSE_HEAD_LIMIT_BYTES)
    this.#counters.upstreamActive++
    if (this.#all.size === 0) this.#ticker.add(this)
    this.#all.add(connection)
    connection.user = user
    connection.deadline = this.#ticker.now + this.#ticker.tickMs + this.#connectTimeoutMs
    return connection
  }

  /** Takes a connection back after a complete exchange. `keepAliveS`: what the upstream says, or -1. */
  release(connection: UpstreamConnection, keepAliveS: number): void {
    const idleMs = keepAliveS < 0 ? IDLE_MS : Math.min(LONGEST_IDLE_MS, keepAliveS * 1000 - IDLE_MARGIN_MS)
    if (idleMs <= 0 || !connection.isWritable || !connection.isFlushed) {
      connection.destroy()
      return
    }
    connection.rest(this.#ticker.exactNow())
    connection.deadline = this.#ticker.now + idleMs
    connection.freshUntil = this.#ticker.now + idleMs / 2
    this.#counters.upstreamActive--
    this.#counters.upstreamIdle++
    this.#idle.push(connection)
  }

  /** Told by a connection that it has ended. */
  closed(connection: UpstreamConnection): void {
    if (!this.#all.delete(connection)) return
    const at = this.#idle.indexOf(connection)
    if (at === -1) this.#counters.upstreamActive--
    else {
      this.#idle.splice(at, 1)
      this.#counters.upstreamIdle--
    }
    if (this.#all.size === 0) this.#ticker.remove(this)
  }

  /** Ends all connections, those in use as well. */
  destroy(): void {
    for (const connection of [...this.#all]) connection.destroy()
  }

  checkTime(now: number): void {
    for (const connection of this.#all) {
      if (now >= connection.deadline) connection.giveUp()
    }
  }
}
