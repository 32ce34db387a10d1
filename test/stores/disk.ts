import fs from 'node:fs'
import { type FileHandle, readdir, stat } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { systemClock } from '../../proxy/lib/clock.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** Time passes only where code sleeps, and then at once: what waits for another process waits without delay. */
export class EagerClock extends FakeClock {
  override async sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await this.advance(delayMs)
  }
}

/** Sleeps for real, but sees no time pass: nobody's lock ever looks stale to it, however slow the machine is. */
export class PatientClock extends FakeClock {
  override sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(delayMs, signal)
  }
}

/** Paths of all that is in a directory, at any depth, directories aside. */
export async function filesUnder(directory: string): Promise<string[]> {
  const paths = (await readdir(directory, { recursive: true })).map((name) => join(directory, name))
  const isDirectory = await Promise.all(paths.map(async (path) => (await stat(path)).isDirectory()))
  return paths.filter((_, index) => !isDirectory[index])
}

/** Called before each thing that is asked of the disk; it may throw, or wait for ever as a killed process does. */
export type BeforeStep = (step: string, path: string) => void | Promise<void>

export interface InterceptedDisk {
  /** Gives the disk back as it was, and closes what a "killed" process had open. */
  restore(): Promise<void>
}

const operations = ['mkdir', 'open', 'readdir', 'rename', 'rm', 'writeFile'] as const

type Operation = (path: string, ...rest: unknown[]) => Promise<unknown>

/** Puts itself between all code of this process and `node:fs/promises`, until restored. */
export function interceptDisk(before: BeforeStep): InterceptedDisk {
  const promises = fs.promises as unknown as Record<string, Operation>
  const originals = operations.map((name) => [name, promises[name]!] as const)
  const open = new Set<FileHandle>()
  for (const [name, original] of originals) {
    promises[name] = async (path, ...rest) => {
      await before(name, path)
      const result = await original(path, ...rest)
      if (name !== 'open') return result
      open.add(result as FileHandle)
      return interceptHandle(result as FileHandle, path, before, () => open.delete(result as FileHandle))
    }
  }
  syncBuiltinESMExports()
  return {
    async restore() {
      for (const [name, original] of originals) promises[name] = original
      syncBuiltinESMExports()
      await Promise.all([...open].map((handle) => handle.close().catch(() => {})))
    },
  }
}

function interceptHandle(
  handle: FileHandle,
  path: string,
  before: BeforeStep,
  closed: () => void,
): FileHandle {
  return new Proxy(handle, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        await before(`handle.${String(property)}`, path)
        if (property === 'close') closed()
        return value.apply(target, args)
      }
    },
  })
}
