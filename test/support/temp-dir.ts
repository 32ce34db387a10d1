import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made: string[] = []
// Not at the end of a test: a program that is only then being ended could still write there.
process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})

/** A new directory, removed when the test process exits. */
export function tempDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'token-sidecar-test-'))
  made.push(path)
  return path
}
