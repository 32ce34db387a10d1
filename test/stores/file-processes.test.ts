import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { FileMedium } from '../../proxy/stores/file.ts'
import { filesUnder } from './disk.ts'

let directory: string
let program: string

// Bundled once: what a process has to load from TypeScript takes longer than all it does here.
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-processes-'))
  program = join(directory, 'counting-process.mjs')
  buildSync({
    entryPoints: [fileURLToPath(new URL('counting-process.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
})
after(() => rm(directory, { recursive: true }))

/** A process that counts until it is done or the test is over; `acknowledged` grows as it does. */
function counting(t: TestContext, path: string, id: string, times: number) {
  const child = spawn(process.execPath, [program, path, id, `${times}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const counter = { child, acknowledged: 0, ended: once(child, 'close') }
  child.stdout.on('data', (dots: Buffer) => {
    counter.acknowledged += dots.length
  })
  return counter
}

describe('processes that share a state file', () => {
  it('lose none of each other’s changes', async (t) => {
    const path = join(directory, 'peace', 'tokens.json')
    const counters = ['a', 'b', 'c'].map((id) => counting(t, path, id, 25))
    const exits = await Promise.all(counters.map(({ ended }) => ended))
    assert.deepEqual(exits, Array(3).fill([0, null]))
    const medium = new FileMedium({ path, id: 'reader', clock: systemClock, log: silentLog })
    assert.equal((await medium.read('key')).epoch, 75)
    assert.deepEqual(await filesUnder(join(path, '..')), [path])
  })

  it('lose nothing that was acknowledged when some are killed, and the others go on within seconds', async (t) => {
    const path = join(directory, 'war', 'tokens.json')
    const counters = ['a', 'b', 'c'].map((id) => counting(t, path, id, 1_000_000))
    // Each is killed at an instant of its own, somewhere in a turn or between two.
    for (const [index, { child, ended }] of counters.entries()) {
      while ((counters[index]?.acknowledged ?? 0) < 5) {
        await once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) })
      }
      child.kill('SIGKILL')
      await ended
      JSON.parse(await readFile(path, 'utf8'))
    }
    const medium = new FileMedium({ path, id: 'survivor', clock: systemClock, log: silentLog })
    const { epoch } = await medium.update('key', (entry) => entry, AbortSignal.timeout(5_000))
    const acknowledged = counters.reduce((sum, counter) => sum + counter.acknowledged, 0)
    assert.ok(epoch >= acknowledged, `${epoch} of ${acknowledged} are left`)
    // What was done but not acknowledged: at most one turn of each.
    assert.ok(epoch - acknowledged <= counters.length, `${epoch} is more than ${acknowledged}`)
    assert.deepEqual(await filesUnder(join(path, '..')), [path])
  })
})
