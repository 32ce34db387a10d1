import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import type { Outage } from './outage.ts'
import { presentUrl } from './redis-address.ts'
import { connectServer, type RedisClient } from './redis-connection.ts'

export interface RedisSubscriptionParts {
  readonly url: Secret
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly outage: Outage
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000
/** Pushes are rare: without a question now and then, a connection that died silently would look like a quiet one. */
const PING_EVERY_MS = 15_000
const PING_TIMEOUT_MS = 2_000

/** A connection that is kept subscribed, for as long as anybody watches. */
export class RedisSubscription {
  readonly #parts: RedisSubscriptionParts
  /** By channel, those to be told. */
  readonly #watchers = new Map<string, Set<() => void>>()
  #connection: { readonly client: RedisClient; readonly lost: (error: unknown) => void } | null = null
  #running: AbortController | null = null
  #closed = false

  constructor(parts: RedisSubscriptionParts) {
    this.#parts = parts
  }

  /** Calls `changed` after each push, and whenever the channel was subscribed to: what was pushed before that is lost. */
  watch(channel: string, changed: () => void): () => void {
    if (this.#closed) return () => {}
    const others = this.#watchers.get(channel)
    const watchers = others ?? new Set()
    watchers.add(changed)
    if (others === undefined) {
      this.#watchers.set(channel, watchers)
      const now = this.#connection
      if (now !== null) this.#subscribe(now.client, channel).catch(now.lost)
    }
    if (this.#running === null) {
      this.#running = new AbortController()
      void this.#run(this.#running.signal)
    }
    return () => {
      if (!watchers.delete(changed) || watchers.size > 0) return
      this.#watchers.delete(channel)
      this.#connection?.client.unsubscribe(channel).catch(() => {})
      if (this.#watchers.size === 0) this.#stop()
    }
  }

  close(): void {
    this.#closed = true
    this.#watchers.clear()
    this.#stop()
  }

  #stop(): void {
    this.#running?.abort()
    this.#running = null
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random, outage } = this.#parts
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      try {
        await this.#stayConnected(signal, () => {
          pauseMs = FIRST_PAUSE_MS
          outage.over()
        })
      } catch (error) {
        if (signal.aborted) return
        outage.failed(error)
      }
      await clock.sleep(pauseMs * (0.5 + random()), signal).catch(() => {})
      pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs)
    }
  }

  /** Rejects when the connection is lost, cannot be had, or the signal aborts. */
  async #stayConnected(signal: AbortSignal, connected: () => void): Promise<never> {
    const { url, clock } = this.#parts
    const ended = new AbortController()
    const lost = (error: unknown) => ended.abort(error)
    const client = await connectServer(await presentUrl(url, clock, signal), clock, lost, signal)
    const alive = AbortSignal.any([signal, ended.signal])
    try {
      this.#connection = { client, lost }
      const channels = [...this.#watchers.keys()]
      await answered(clock, alive, Promise.all(channels.map((name) => this.#subscribe(client, name))))
      connected()
      for (;;) {
        await clock.sleep(PING_EVERY_MS, alive)
        await answered(clock, alive, client.sendCommand(['PING']))
      }
    } finally {
      // Another run may have begun by now.
      if (this.#connection?.client === client) this.#connection = null
      client.destroy()
    }
  }

  async #subscribe(client: RedisClient, channel: string): Promise<void> {
    const tell = () => {
      for (const changed of [...(this.#watchers.get(channel) ?? [])]) changed()
    }
    await client.subscribe(channel, tell)
    tell()
  }
}

async function answered(clock: Clock, signal: AbortSignal, work: Promise<unknown>): Promise<void> {
  const bound = deadline(clock, PING_TIMEOUT_MS, signal)
  await abortable(work, bound.signal).finally(bound.clear)
}
