import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Secret } from '../lib/secret.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from './entry.ts'
import { Outage } from './outage.ts'
import { RedisCommands } from './redis-commands.ts'
import { RedisSubscription } from './redis-subscription.ts'

export interface RedisMediumParts {
  /** `redis://`, `rediss://` or either with `-sentinel`; with user, password and database. */
  readonly url: Secret
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
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
  readonly #clock: Clock
  readonly #commands: RedisCommands
  readonly #subscription: RedisSubscription
  readonly #outage: Outage
  #clockOffsetMs = 0

  constructor(parts: RedisMediumParts) {
    const { url, clock, log } = parts
    this.#clock = clock
    this.#commands = new RedisCommands(url, clock)
    this.#outage = new Outage(log, this.kind, 'store_connection_failed')
    const outage = new Outage(log, this.kind, 'store_watch_failed')
    this.#subscription = new RedisSubscription({ ...parts, outage })
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
    return this.#subscription.watch(nameOf(key), changed)
  }

  async close(): Promise<void> {
    this.#subscription.close()
    this.#commands.close()
  }

  async #get(name: string, signal: AbortSignal): Promise<string> {
    const sentAt = this.#clock.now()
    const [text, seconds, micros] = (await this.#eval(READ, name, [], signal)) as [string, string, string]
    const theirs = Number(seconds) * 1_000 + Number(micros) / 1_000
    const offset = theirs - (sentAt + this.#clock.now()) / 2
    this.#clockOffsetMs = Math.abs(offset) <= CLOCK_TOLERANCE_MS ? 0 : Math.round(offset)
    return text
  }

  async #eval(script: string, name: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
    try {
      const reply = await this.#commands.run(['EVAL', script, '1', name, ...args], signal)
      this.#outage.over()
      return reply
    } catch (error) {
      if (!signal.aborted) this.#outage.failed(error)
      throw error
    }
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
