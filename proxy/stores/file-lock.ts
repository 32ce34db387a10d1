import { link, open, readFile, rename, rm } from 'node:fs/promises'
import type { Clock } from '../lib/clock.ts'

const RETRY_MS = 5
/** A critical section is a read, a write and two flushes. A lock that lasts longer belongs to a process that died or was stopped. */
const STALE_MS = 1_000

/**
 * A lock between the processes of one host: a file that only one of them can create (O_EXCL semantics, link(2)). A lock
 * that this process has seen unchanged for a second is broken. Process ids are not asked: containers that share a volume
 * do not share them.
 */
export class FileLock {
  readonly #path: string
  readonly #id: string
  readonly #clock: Clock
  #taken = 0
  #seen: { readonly mark: string; readonly at: number } | null = null

  /** `id` names this process among those that share the path. */
  constructor(path: string, id: string, clock: Clock) {
    this.#path = path
    this.#id = id
    this.#clock = clock
  }

  /**
   * Runs `work` while nobody else runs theirs. `work` gets a check that the lock is still its own, to be made right before
   * its effect: a process that was stopped for seconds may have lost it. Rejects with the signal's reason when the lock
   * cannot be had before that.
   */
  async run<T>(signal: AbortSignal, work: (stillHeld: () => Promise<boolean>) => Promise<T>): Promise<T> {
    const mark = `${this.#id}.${++this.#taken}`
    while (!(await this.#take(mark))) {
      signal.throwIfAborted()
      if (!(await this.#breakIfStale())) await this.#clock.sleep(RETRY_MS, signal)
    }
    const stillHeld = async () => (await readMark(this.#path)) === mark
    try {
      return await work(stillHeld)
    } finally {
      if (await stillHeld()) await rm(this.#path, { force: true })
    }
  }

  async #take(mark: string): Promise<boolean> {
    // Written under another name first: the lock is never to be seen without its owner.
    const draft = `${this.#path}.${mark}`
    const file = await open(draft, 'w', 0o600)
    await file.writeFile(mark).finally(() => file.close())
    try {
      await link(draft, this.#path)
      return true
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    } finally {
      await rm(draft, { force: true })
    }
  }

  async #breakIfStale(): Promise<boolean> {
    const found = await readMark(this.#path)
    if (found === null) return true
    const now = this.#clock.monotonic()
    if (this.#seen?.mark !== found) this.#seen = { mark: found, at: now }
    if (now - this.#seen.at < STALE_MS) return false
    await this.#break(found)
    return true
  }

  /**
   * Two processes may find the same lock stale. Renaming lets one of them have it; if what it got is a younger lock that
   * was taken in between, that one is put back.
   */
  async #break(stale: string): Promise<void> {
    const aside = `${this.#path}.${this.#id}.stale`
    try {
      await rename(this.#path, aside)
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return
      throw error
    }
    if ((await readMark(aside)) !== stale) await link(aside, this.#path).catch(() => {})
    await rm(aside, { force: true })
  }
}

async function readMark(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
}

/** Whether a system error has this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}
