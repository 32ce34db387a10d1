import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Teardown } from '../support/sidecar-process-program.ts'

/** A control group that ends whoever needs more memory, as a container's does. */
export interface MemoryCap {
  /** Puts what it is put before into the group. */
  readonly prefix: readonly string[]
  /** The most that was in use, page cache included, bytes. */
  peakBytes(): number
}

/** Makes one, of either version; null, where this user may not. */
export function memoryCap(teardown: Teardown, limitBytes: number): MemoryCap | null {
  const name = `token-sidecar-flood-${process.pid}-${groups++}`
  return (
    make(teardown, join('/sys/fs/cgroup', name), limitBytes, 'memory.max', 'memory.peak') ??
    make(
      teardown,
      join('/sys/fs/cgroup/memory', name),
      limitBytes,
      'memory.limit_in_bytes',
      'memory.max_usage_in_bytes',
    )
  )
}

let groups = 0

function make(
  teardown: Teardown,
  path: string,
  limitBytes: number,
  limit: string,
  peak: string,
): MemoryCap | null {
  try {
    mkdirSync(path)
  } catch {
    return null
  }
  // A group goes when the last process in it has gone.
  teardown.after(() => remove(path))
  try {
    // Where no controller looks, a directory is just a directory.
    readFileSync(join(path, peak))
    writeFileSync(join(path, limit), String(limitBytes))
  } catch {
    remove(path)
    return null
  }
  return {
    prefix: ['sh', '-c', `echo $$ > ${path}/cgroup.procs && exec "$@"`, 'sh'],
    peakBytes: () => Number(readFileSync(join(path, peak), 'utf8')),
  }
}

function remove(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // It is empty; whoever starts the machine next will not find it.
  }
}
