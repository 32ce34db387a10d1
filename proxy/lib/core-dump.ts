import { writeFileSync } from 'node:fs'

/** One bit for each kind of memory that a core dump of this process would hold; see core(5). */
const FILTER = '/proc/self/coredump_filter'

/**
 * Keeps this process's memory, with the secrets in it, out of core dumps: what is left of one are headers and registers. A
 * program cannot lower its own limit from JavaScript, and an image without a shell cannot do it beforehand. Linux only;
 * elsewhere nothing happens.
 */
export function leaveOutOfCoreDumps(): void {
  try {
    writeFileSync(FILTER, '0')
  } catch {
    // Another system, or a /proc that is read-only.
  }
}
