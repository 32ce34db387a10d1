import { type FSWatcher, watch } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from './entry.ts'
import { FileLock, hasCode } from './file-lock.ts'

export interface FileMediumParts {
  readonly path: string
  readonly clock: Clock
  readonly log: Log
  /** Names this process among those that share the file. */
  readonly id: string
}

type Entries = Readonly<Record<string, unknown>>

const FORMAT = 1
/** Old secrets leave entries behind; the ones changed last are kept. */
const MAX_ENTRIES = 32

/**
 * Entries in one JSON file, shared by the processes of one host. Written beside it, flushed and renamed, so that a crash
 * leaves the old file or the new one; mode 0600, in a directory made with 0700. The lock is `PATH.lock`.
 * Not for network file systems, whose caches and clocks it does not reckon with.
 */
export class FileMedium implements EntryMedium {
  readonly kind = 'file'
  readonly #parts: FileMediumParts
  readonly #lock: FileLock
  readonly #watchers = new Set<FSWatcher>()
  /** One process queues here instead of at the lock file, where it would have to poll for itself. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: FileMediumParts) {
    this.#parts = parts
    this.#lock = new FileLock(`${parts.path}.lock`, parts.id, parts.clock)
  }

  async read(key: string): Promise<Entry> {
    return parseEntry((await this.#readAll())?.[key]) ?? emptyEntry
  }

  update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry> {
    const turn = this.#turn.then(() => this.#update(key, change, signal))
    this.#turn = turn.catch(() => {})
    return turn
  }

  watch(key: string, changed: () => void): () => void {
    let watcher: FSWatcher | null = null
    let ended = false
    let last = ''
    const look = async () => {
      const entry = JSON.stringify(await this.read(key).catch(() => emptyEntry))
      if (entry === last || ended) return
      last = entry
      changed()
    }
    // The directory, not the file: each write puts a new file in its place.
    const name = basename(this.#parts.path)
    this.#prepareDirectory()
      .then(() => {
        if (ended) return
        watcher = watch(dirname(this.#parts.path), (_event, file) => {
          if (file === name) void look()
        })
        watcher.on('error', (error) => this.#parts.log.debug('store_watch_failed', { error }))
        this.#watchers.add(watcher)
      })
      // Only a hint is lost: the manager polls as well.
      .catch((error) => this.#parts.log.debug('store_watch_failed', { error }))
    return () => {
      ended = true
      if (watcher === null) return
      watcher.close()
      this.#watchers.delete(watcher)
    }
  }

  async close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.close()
    await this.#turn
  }

  async #update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry> {
    signal.throwIfAborted()
    await this.#prepareDirectory()
    return this.#lock.run(signal, async (stillHeld) => {
      const entries = (await this.#readAll()) ?? (await this.#setAside())
      const found = parseEntry(entries[key]) ?? emptyEntry
      const changed = change(found)
      if (changed === null) return found
      const { [key]: _, ...others } = entries
      const kept = Object.fromEntries(Object.entries(others).slice(-(MAX_ENTRIES - 1)))
      await this.#write({ ...kept, [key]: changed }, stillHeld)
      return changed
    })
  }

  /** Null when the file is not what this program writes. */
  async #readAll(): Promise<Entries | null> {
    let text: string
    try {
      text = await readFile(this.#parts.path, 'utf8')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return {}
      throw error
    }
    try {
      const json: unknown = JSON.parse(text)
      const { format, entries } = (json ?? {}) as Record<string, unknown>
      return format === FORMAT && typeof entries === 'object' && entries !== null
        ? (entries as Entries)
        : null
    } catch {
      return null
    }
  }

  /** A file somebody damaged must not stop the service for ever, and is not destroyed either. */
  async #setAside(): Promise<Entries> {
    const aside = `${this.#parts.path}.unreadable`
    await rename(this.#parts.path, aside)
    this.#parts.log.warn('store_file_unreadable', { path: this.#parts.path, moved_to: aside })
    return {}
  }

  async #write(entries: Entries, stillHeld: () => Promise<boolean>): Promise<void> {
    const { path, id } = this.#parts
    const draft = `${path}.${id}.tmp`
    const file = await open(draft, 'w', 0o600)
    try {
      try {
        await file.chmod(0o600)
        await file.writeFile(JSON.stringify({ format: FORMAT, entries }))
        await file.sync()
      } finally {
        await file.close()
      }
      if (!(await stillHeld())) throw new Error('the file lock was taken over')
      await rename(draft, path)
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
    // The rename itself has to survive a power cut as well.
    const directory = await open(dirname(path), 'r')
    await directory.sync().finally(() => directory.close())
  }

  async #prepareDirectory(): Promise<void> {
    await mkdir(dirname(this.#parts.path), { recursive: true, mode: 0o700 })
  }
}
