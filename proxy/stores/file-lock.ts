import { link, open, readFile, rename, rm, unlink } from 'node:fs/promises'
import { type Clock, sleepWith } from '../lib/clock.ts'

const RETRY_MS = 5
/** A critical section is a read, a write and two fsyncs. One that lasts longer belongs to a process that was stopped or killed. */
const STALE_MS = 2_000

/**
 * Runs `work` while no other process of this host runs its own under the same path (O_EXCL, open(2)). A lock left behind
 * by a process that died is broken: at once when its process is gone, else after it was seen unchanged for two seconds.
 * `work` gets a check that the lock is still its own, to be made right before its effect.
 * Rejects with the signal's reason when the lock cannot be had before that.
 */
export async function withFileLock<T>(
  path: string,
  owner: { readonly id: string; readonly pid: number; readonly isAlive: (pid: number) => boolean },
  clock: Clock,
  signal: AbortSignal,
  work: (stillHeld: () => Promise<boolean>) => Promise<T>,
): Promise<T> {
  const mark = `${owner.pid} ${owner.id} ${clock.monotonic()}`
  let seen: { mark: string; at: number } | null = null
  while (!(await take(path, mark))) {
    signal.throwIfAborted()
    const found = await readMark(path)
    if (found === null) continue
    if (seen?.mark !== found) seen = { mark: found, at: clock.monotonic() }
    const gone = !owner.isAlive(Number.parseInt(found, 10))
    if (gone || clock.monotonic() - seen.at >= STALE_MS) await breakLock(path, found, owner.id)
    else await sleepWith(clock.after, RETRY_MS, signal)
  }
  try {
    return await work(async () => (await readMark(path)) === mark)
  } finally {
    if ((await readMark(path)) === mark) await rm(path, { force: true })
  }
}

async function take(path: string, mark: string): Promise<boolean> {
  // Written under another name first: the lock must never be seen without its owner.
  const draft = `${path}.${mark.replaceAll(' ', '-')}`
  const file = await open(draft, 'wx', 0o600)
  await file.writeFile(mark).finally(() => file.close())
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/**
 * Two processes may find the same lock stale. Renaming lets one of them have it; if what it got is a younger lock that
 * was taken in between, that one is put back.
 */
async function breakLock(path: string, stale: string, id: string): Promise<void> {
  const aside = `${path}.${id}.stale`
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await readMark(aside)) !== stale) await link(aside, path).catch(() => {})
  await unlink(aside)
}

async function readMark(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
