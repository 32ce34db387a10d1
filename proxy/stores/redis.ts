import type { RedisClientType } from '@redis/client'
import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Secret } from '../lib/secret.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from './entry.ts'

export interface RedisMediumParts {
  /** `redis://` or `rediss://`, with user, password and database. */
  readonly url: Secret
  readonly clock: Clock
  readonly log: Log
}

/** Entry and server time in one reply. */
const READ = `local time = redis.call('TIME')
return {redis.call('GET', KEYS[1]) or '', time[1], time[2]}`

/**
 * Compare-and-set, and the push that follows it, in one step nobody can come between. The push carries the generation
 * only: a channel can be read by whoever may subscribe, and a push that is lost is made up for by the next read.
 */
const REPLACE = `if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[3])
return 1`

const COMMAND_TIMEOUT_MS = 1_000
const CONNECT_TIMEOUT_MS = 2_000
const LONGEST_RECONNECT_PAUSE_MS = 2_000
/** A conflict means that somebody else got on; so many in a row mean that something is wrong. */
const MOST_CONFLICTS = 50
/** Smaller differences between the server's clock and ours are the way there and back. */
const CLOCK_TOLERANCE_MS = 2_000

/**
 * Entries in Redis or Valkey, one string each, named `token-sidecar:{KEY}`, with a channel of the same name. Replication is
 * asynchronous, so a failover can lose a write: the manager notices and gives the newest token back.
 */
export class RedisMedium implements EntryMedium {
  readonly kind = 'redis'
  readonly #parts: RedisMediumParts
  #clockOffsetMs = 0
  #connection: Promise<RedisClientType> | null = null
  #subscription: Promise<RedisClientType> | null = null
  #closed = false

  constructor(parts: RedisMediumParts) {
    this.#parts = parts
  }

  get clockOffsetMs(): number {
    return this.#clockOffsetMs
  }

  async read(key: string, signal: AbortSignal): Promise<Entry> {
    return entryOf(await this.#get(nameOf(key), signal))
  }

  async update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry> {
    const name = nameOf(key)
    for (let conflicts = 0; conflicts < MOST_CONFLICTS; conflicts++) {
      const found = await this.#get(name, signal)
      const changed = change(entryOf(found))
      if (changed === null) return entryOf(found)
      const generation = String(changed.generation)
      const replaced = await this.#eval(REPLACE, name, [found, JSON.stringify(changed), generation], signal)
      if (replaced === 1) return changed
      signal.throwIfAborted()
    }
    throw new Error('the entry keeps changing')
  }

  watch(key: string, changed: () => void): () => void {
    const name = nameOf(key)
    const listener = () => changed()
    let ended = false
    let unsubscribe = async () => {}
    const begin = async () => {
      const client = await this.#subscriber()
      if (ended) return
      // What was pushed while the connection was down is lost: read again whenever it is back.
      client.on('ready', listener)
      await client.subscribe(name, listener)
      unsubscribe = async () => {
        client.off('ready', listener)
        await client.unsubscribe(name, listener)
      }
      if (ended) await unsubscribe()
    }
    begin().catch((error) => this.#parts.log.debug('store_watch_failed', { store: this.kind, error }))
    return () => {
      ended = true
      if (!this.#closed) unsubscribe().catch(() => {})
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const opened of [this.#connection, this.#subscription]) {
      // Destroyed, not closed: a server that does not answer must not keep the process.
      opened?.then((client) => client.destroy()).catch(() => {})
    }
  }

  async #get(name: string, signal: AbortSignal): Promise<string> {
    const { clock } = this.#parts
    const sentAt = clock.now()
    const [text, seconds, micros] = (await this.#eval(READ, name, [], signal)) as [string, string, string]
    const theirs = Number(seconds) * 1_000 + Number(micros) / 1_000
    const offset = theirs - (sentAt + clock.now()) / 2
    this.#clockOffsetMs = Math.abs(offset) <= CLOCK_TOLERANCE_MS ? 0 : Math.round(offset)
    return text
  }

  async #eval(script: string, name: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
    this.#connection ??= this.#connect().catch((error) => {
      // Refused for good (a wrong password, say): the next operation asks again.
      this.#connection = null
      throw error
    })
    const client = await abortable(this.#connection, signal)
    const command = client.sendCommand(['EVAL', script, '1', name, ...args], { timeout: COMMAND_TIMEOUT_MS })
    return abortable(command, signal)
  }

  async #subscriber(): Promise<RedisClientType> {
    this.#subscription ??= this.#connect()
    return this.#subscription
  }

  /** Resolves at the first connection, and keeps the client connected from then on. */
  async #connect(): Promise<RedisClientType> {
    const { url, log } = this.#parts
    // Loaded only when this engine is chosen; the default export, since a bundler cannot tell the names that a CommonJS
    // package exports.
    const { createClient } = (await import('@redis/client')).default
    const client = createClient({
      url: url.reveal(),
      // A command that waited for a reconnection would be answered with a state of long ago.
      disableOfflineQueue: true,
      socket: {
        connectTimeout: CONNECT_TIMEOUT_MS,
        reconnectStrategy: (retries) => Math.min(LONGEST_RECONNECT_PAUSE_MS, 50 * 2 ** Math.min(retries, 10)),
      },
    }) as unknown as RedisClientType
    client.on('error', (error: unknown) => log.debug('store_connection_failed', { store: this.kind, error }))
    await client.connect()
    if (this.#closed) client.destroy()
    return client
  }
}

/** Braces make it one hash slot, should the server be a cluster. */
function nameOf(key: string): string {
  return `token-sidecar:{${key}}`
}

function entryOf(text: string): Entry {
  if (text === '') return emptyEntry
  try {
    return parseEntry(JSON.parse(text)) ?? emptyEntry
  } catch {
    return emptyEntry
  }
}
