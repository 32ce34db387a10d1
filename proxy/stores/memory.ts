import { type Entry, type EntryMedium, emptyEntry } from './entry.ts'

/** Entries of one process, gone with it. Sharing one instance makes several managers a fleet, as tests do. */
export class MemoryMedium implements EntryMedium {
  readonly kind = 'memory'
  readonly #entries = new Map<string, Entry>()
  readonly #watchers = new Set<{ readonly key: string; readonly changed: () => void }>()

  async read(key: string): Promise<Entry> {
    return this.#entries.get(key) ?? emptyEntry
  }

  async update(key: string, change: (entry: Entry) => Entry | null): Promise<Entry> {
    const found = this.#entries.get(key) ?? emptyEntry
    const changed = change(found)
    if (changed === null) return found
    this.#entries.set(key, changed)
    // Not from within the caller's own step.
    queueMicrotask(() => {
      for (const watcher of this.#watchers) if (watcher.key === key) watcher.changed()
    })
    return changed
  }

  watch(key: string, changed: () => void): () => void {
    const watcher = { key, changed }
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  async close(): Promise<void> {
    this.#watchers.clear()
  }
}
