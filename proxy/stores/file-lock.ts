import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { makeDirectory } from './directory.ts'
import { hasCode, StoreError } from './store-error.ts'

const RETRY_MS = 5
/** A turn is a read, a write and a flush. One that lasts longer belongs to a process that died or was stopped. */
const STALE_MS = 1_000
/** Name of the directory that stands for the lock; no turn is named like it. */
const HELD = 'held'

/** The right to replace the file, once. */
export interface Turn {
  /** The user whose files this process makes. */
  readonly uid: number
  /**
   * Puts new content in the file's place, whole or not at all, flushed, mode 0600, and ends the turn. Rejects with
   * `lock_lost`, having changed nothing, when another process has ended it.
   */
  replace(content: string): Promise<void>
}

/**
 * Turns at replacing a file, between the processes of one host. In `FILE.lock`, each turn makes a directory with one empty
 * file in it, both of the turn's own name, and moves the directory to `held`. rename(2) does that only while `held` is
 * missing or empty, so one of them gets it. The file inside is the draft of the new content, and moving it to its
 * place empties `held`: replacing and letting go are one step of the kernel.
 *
 * A turn that this process has seen unchanged for a second is ended by removing its draft. No name is ever used twice, so
 * that cannot hit a later turn; and an owner who wakes up has no draft left to move, so it can neither write over what came
 * after nor let go of somebody else's lock. Process ids are not asked: containers that share a volume do not share them.
 */
export class FileLock {
  readonly #file: string
  readonly #directory: string
  readonly #id: string
  readonly #clock: Clock
  #turns = 0
  #tidied = false
  #seen: { readonly name: string; readonly at: number } | null = null

  /** `id` names this process among those that share the file, is never used again, and can be part of a file name. */
  constructor(file: string, id: string, clock: Clock) {
    this.#file = file
    this.#directory = `${file}.lock`
    this.#id = id
    this.#clock = clock
  }

  /**
   * Runs `work` while nobody else runs theirs, unless it was stopped for a second; what `Turn.replace` promises holds even
   * then. Rejects with the signal's reason when that aborts before there is a turn.
   */
  async run<T>(signal: AbortSignal, work: (turn: Turn) => Promise<T>): Promise<T> {
    const name = `${this.#id}.${++this.#turns}`
    if (!this.#tidied) await this.#tidy()
    const uid = await this.#take(name, signal)
    const draft = join(this.#directory, HELD, name)
    try {
      return await work({ uid, replace: (content) => this.#replace(draft, content) })
    } finally {
      await rm(draft, { force: true })
    }
  }

  async #take(name: string, signal: AbortSignal): Promise<number> {
    makeDirectory(this.#directory)
    const own = join(this.#directory, name)
    try {
      for (;;) {
        signal.throwIfAborted()
        const uid = await this.#move(own, name)
        if (uid !== null) return uid
        await this.#endIfStale()
        await this.#clock.sleep(RETRY_MS, signal)
      }
    } catch (error) {
      await rm(own, { recursive: true, force: true })
      throw error
    }
  }

  /** The owner of the draft, or null when it is somebody else's turn. */
  async #move(own: string, name: string): Promise<number | null> {
    try {
      const uid = await makeDraft(own, name)
      await this.#refuseForeign(uid)
      await rename(own, join(this.#directory, HELD))
      return uid
    } catch (error) {
      // Held; or what was made here fell to another process's tidying, and is made again.
      if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST') || hasCode(error, 'ENOENT')) return null
      throw error
    }
  }

  /** Who owns the directory can put anything in a draft's place, and a symbolic link leads to somebody else's directory. */
  async #refuseForeign(uid: number): Promise<void> {
    const stats = await lstat(this.#directory)
    if (stats.isDirectory() && stats.uid === uid) return
    throw new StoreError('file_refused', `${this.#directory} is not a directory of user ${uid}`)
  }

  async #replace(draft: string, content: string): Promise<void> {
    try {
      // Never created here: a draft that is gone says that the turn is over. Nor is a link followed to what it points at.
      const file = await open(draft, constants.O_RDWR | constants.O_NOFOLLOW)
      try {
        await file.writeFile(content)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(draft, this.#file)
    } catch (error) {
      if (hasCode(error, 'ELOOP')) {
        throw new StoreError('file_refused', `${draft} was replaced by a symbolic link`, error)
      }
      if (hasCode(error, 'ENOENT')) {
        throw new StoreError('lock_lost', `the turn at ${this.#file} took too long and was ended`, error)
      }
      throw error
    }
    // The move itself has to survive a power cut as well.
    const directory = await open(dirname(this.#file), 'r')
    await directory.sync().finally(() => directory.close())
  }

  async #endIfStale(): Promise<void> {
    const [name] = await list(join(this.#directory, HELD))
    if (name === undefined) return
    const now = this.#clock.monotonic()
    if (this.#seen?.name !== name) this.#seen = { name, at: now }
    if (now - this.#seen.at >= STALE_MS) await rm(join(this.#directory, HELD, name), { force: true })
  }

  /**
   * Removes what processes left that were killed before their turn, once in this process's life. Each is moved away first:
   * if its owner lives after all, it finds nothing rather than half of it, and makes its directory anew.
   */
  async #tidy(): Promise<void> {
    // What is behind a link is not ours to remove; taking the turn refuses it.
    if (await isLink(this.#directory)) return
    for (const name of await list(this.#directory)) {
      if (name === HELD) continue
      const waste = join(this.#directory, `${this.#id}.waste`)
      // Whatever goes wrong here goes wrong again where it matters, or does not matter.
      await rename(join(this.#directory, name), waste).catch(() => {})
      await rm(waste, { recursive: true, force: true }).catch(() => {})
    }
    this.#tidied = true
  }
}

/** Makes a directory with an empty file in it, or finds them made, and tells whose they are. */
async function makeDraft(own: string, name: string): Promise<number> {
  await mkdir(own, { mode: 0o700 }).catch((error) => {
    if (!hasCode(error, 'EEXIST')) throw error
  })
  const draft = await open(join(own, name), 'a', 0o600)
  try {
    return (await draft.stat()).uid
  } finally {
    await draft.close()
  }
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

/** Names in a directory; none when it does not exist. */
async function list(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
