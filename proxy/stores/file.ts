import { constants, type FSWatcher, watch } from 'node:fs'
import { open, rm, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { makeDirectory } from './directory.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from './entry.ts'
import { FileLock } from './file-lock.ts'
import { hasCode, StoreError } from './store-error.ts'

export interface FileMediumParts {
  readonly path: string
  readonly clock: Clock
  readonly log: Log
  /** Names this process among those that share the file, differs at each start, and can be part of a file name. */
  readonly id: string
}

interface Content {
  readonly bytes: Buffer
  readonly uid: number
  /** Null when it is not what this program writes. */
  readonly entries: Entries | null
}

type Entries = Readonly<Record<string, unknown>>

const FORMAT = 1
/** Old secrets leave entries behind; the ones changed last are kept. */
const MAX_ENTRIES = 1_000
/** Several times what `MAX_ENTRIES` take. */
const LIMIT_BYTES = 4 * 1024 * 1024

/**
 * Entries in one JSON file, shared by the processes of one host. The file is only ever replaced as a whole (`FileLock`), so
 * that a crash leaves the old one or the new one, and readers need no lock; mode 0600, in a directory made with 0700 (one
 * that exists is taken as it is: mounted volumes are often open to all). A symbolic link and anything
 * else that is not a plain file are refused with `file_refused`, and so is replacing what belongs to another user, the lock's
 * directory included. Errors of the system come through as they are.
 * Not for network file systems, whose caches it does not reckon with.
 */
export class FileMedium implements EntryMedium {
  readonly kind = 'file'
  readonly #path: string
  readonly #log: Log
  readonly #lock: FileLock
  readonly #watches = new Set<() => void>()
  /** One process queues here instead of at the lock, where it would have to poll for itself. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: FileMediumParts) {
    this.#path = parts.path
    this.#log = parts.log
    this.#lock = new FileLock(parts.path, parts.id, parts.clock)
  }

  async read(key: string): Promise<Entry> {
    return parseEntry((await this.#read())?.entries?.[key]) ?? emptyEntry
  }

  update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry> {
    const turn = this.#turn.then(() => this.#update(key, change, signal))
    this.#turn = turn.catch(() => {})
    return turn
  }

  watch(key: string, changed: () => void): () => void {
    let last = ''
    const look = async () => {
      const entry = JSON.stringify(await this.read(key).catch(() => emptyEntry))
      if (entry === last || !this.#watches.has(end)) return
      last = entry
      changed()
    }
    const watcher = this.#watchFile(() => void look())
    const end = () => {
      watcher?.close()
      this.#watches.delete(end)
    }
    this.#watches.add(end)
    return end
  }

  async close(): Promise<void> {
    for (const end of this.#watches) end()
    await this.#turn
  }

  async #update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry> {
    return this.#lock.run(signal, async (turn) => {
      const content = await this.#read()
      if (content !== null && content.uid !== turn.uid) {
        throw new StoreError('file_refused', `${this.#path} belongs to user ${content.uid}, not ${turn.uid}`)
      }
      const entries = content === null ? {} : content.entries
      const { [key]: own, ...others } = entries ?? {}
      const found = own === undefined ? emptyEntry : parseEntry(own)
      const changed = change(found ?? emptyEntry)
      if (changed === null) return found ?? emptyEntry
      if (content !== null && (entries === null || found === null)) await this.#keepAside(content.bytes)
      // Whoever asked has been told that it failed; that had better be so.
      signal.throwIfAborted()
      const kept = Object.fromEntries(Object.entries(others).slice(-(MAX_ENTRIES - 1)))
      await turn.replace(JSON.stringify({ format: FORMAT, entries: { ...kept, [key]: changed } }))
      return changed
    })
  }

  /** Null when there is no file yet. */
  async #read(): Promise<Content | null> {
    // O_NONBLOCK: opening a pipe would wait for its writer.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    try {
      const file = await open(this.#path, flags)
      try {
        const stats = await file.stat()
        if (!stats.isFile()) throw new StoreError('file_refused', `${this.#path} is not a plain file`)
        if (stats.size > LIMIT_BYTES) {
          throw new StoreError('file_refused', `${this.#path} is larger than any store`)
        }
        const bytes = await file.readFile()
        return { bytes, uid: stats.uid, entries: parseEntries(bytes.toString()) }
      } finally {
        await file.close()
      }
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null
      if (hasCode(error, 'ELOOP')) {
        throw new StoreError('file_refused', `${this.#path} is a symbolic link; name the file itself`, error)
      }
      throw error
    }
  }

  /** A file somebody damaged must not stop the service for ever, and is not destroyed either. */
  async #keepAside(bytes: Buffer): Promise<void> {
    const aside = `${this.#path}.unreadable`
    await rm(aside, { force: true })
    await writeFile(aside, bytes, { flag: 'wx', mode: 0o600 })
    this.#log.warn('store_file_unreadable', { path: this.#path, kept_as: aside })
  }

  /** The directory is watched: each write puts a new file in the old one's place. */
  #watchFile(touched: () => void): FSWatcher | null {
    const directory = dirname(this.#path)
    const name = basename(this.#path)
    // Only hints are lost: the manager polls as well.
    const lost = (error: unknown) => this.#log.debug('store_watch_failed', { error })
    try {
      // At once, once in a process's life: a change after this call is not to be missed.
      makeDirectory(directory)
      const watcher = watch(directory, (_event, file) => {
        if (file === name) touched()
      })
      watcher.on('error', lost)
      return watcher
    } catch (error) {
      lost(error)
      return null
    }
  }
}

function parseEntries(text: string): Entries | null {
  try {
    const { format, entries } = (JSON.parse(text) ?? {}) as Record<string, unknown>
    return format === FORMAT && typeof entries === 'object' && entries !== null ? (entries as Entries) : null
  } catch {
    return null
  }
}
