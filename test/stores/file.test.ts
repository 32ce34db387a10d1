import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type Clock, systemClock } from '../../proxy/lib/clock.ts'
import { type Log, type LogFields, silentLog } from '../../proxy/lib/log.ts'
import { type Entry, emptyEntry } from '../../proxy/stores/entry.ts'
import { FileMedium } from '../../proxy/stores/file.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { EagerClock, filesUnder, interceptDisk, PatientClock } from './disk.ts'
import { soon } from './store-use.ts'

let root: string
let path: string
let media = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'file-medium-'))
})
beforeEach(async () => {
  path = join(root, `${++media}`, 'tokens.json')
})
after(() => rm(root, { recursive: true }))

function medium(clock: Clock = new PatientClock(), log: Log = silentLog): FileMedium {
  return new FileMedium({ path, clock, log, id: `p${++media}` })
}

function entry(epoch: number): Entry {
  return { ...emptyEntry, epoch }
}

function put(into: FileMedium, epoch: number, key = 'key'): Promise<Entry> {
  return into.update(key, () => entry(epoch), soon())
}

async function place(content: string | Buffer): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, content)
}

async function litter(): Promise<string[]> {
  return (await filesUnder(join(path, '..'))).filter((name) => name !== path)
}

describe('the state file', () => {
  it('is its owner’s alone, in a directory made for its owner alone, whatever the umask', async () => {
    const umask = process.umask(0)
    try {
      await put(medium(), 1)
    } finally {
      process.umask(umask)
    }
    const modeOf = async (name: string) => ((await stat(name)).mode & 0o777).toString(8)
    assert.equal(await modeOf(path), '600')
    assert.equal(await modeOf(join(path, '..')), '700')
    assert.equal(await modeOf(`${path}.lock`), '700')
  })

  it('is its owner’s alone again after somebody opened it up, and a given directory is left as it is', async () => {
    await put(medium(), 1)
    await chmod(path, 0o644)
    await chmod(join(path, '..'), 0o777)
    await put(medium(), 2)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o777)
  })

  it('is not made by reading', async () => {
    assert.deepEqual(await medium().read('key'), emptyEntry)
    await assert.rejects(stat(join(path, '..')), { code: 'ENOENT' })
  })

  it('is not touched by an update that changes nothing', async () => {
    await put(medium(), 1)
    const { ino, mtimeMs } = await stat(path)
    assert.deepEqual(await medium().update('key', () => null, soon()), entry(1))
    const now = await stat(path)
    assert.deepEqual([now.ino, now.mtimeMs], [ino, mtimeMs])
    assert.deepEqual(await litter(), [])
  })

  it('keeps the other entries, and of very many those changed last', async () => {
    const old = Array.from({ length: 1_500 }, (_, n) => [`old-${n}`, entry(n)])
    await place(JSON.stringify({ format: 1, entries: Object.fromEntries(old) }))
    await put(medium(), 7, 'old-3')
    await put(medium(), 9, 'old-1000')
    await put(medium(), 8, 'new')
    const { entries } = JSON.parse(await readFile(path, 'utf8'))
    const keys = Object.keys(entries)
    assert.equal(keys.length, 1_000)
    assert.deepEqual(keys.slice(-4), ['old-1499', 'old-3', 'old-1000', 'new'])
    assert.deepEqual([entries['old-3'].epoch, entries['old-1499'].epoch], [7, 1_499])
  })
})

describe('a file medium refuses', () => {
  const refusals = async () => {
    await assert.rejects(medium().read('key'), { code: 'file_refused' })
    await assert.rejects(put(medium(), 1), { code: 'file_refused' })
    assert.deepEqual(await litter(), (await stat(path)).isFile() ? [] : await litter())
  }

  it('a symbolic link, and leaves what it points at alone', async () => {
    await place('')
    await rm(path)
    const target = join(root, 'precious')
    await writeFile(target, 'precious')
    await symlink(target, path)
    await assert.rejects(medium().read('key'), { code: 'file_refused', message: /symbolic link/ })
    await assert.rejects(put(medium(), 1), { code: 'file_refused' })
    assert.equal(await readFile(target, 'utf8'), 'precious')
    await rm(target)
    await assert.rejects(put(medium(), 1), { code: 'file_refused' }, 'dangling')
  })

  it('a directory', async () => {
    await mkdir(path, { recursive: true })
    await refusals()
  })

  it('a pipe, without waiting for its writer', async () => {
    await place('')
    await rm(path)
    execFileSync('mkfifo', [path])
    await refusals()
  })

  it('a file that is far too large to be a store', async () => {
    await place('')
    await truncate(path, 1024 ** 3)
    await refusals()
  })

  it('another user’s file', { skip: process.getuid?.() !== 0 && 'only root can make one' }, async () => {
    await put(medium(), 1)
    await chown(path, 12_345, 12_345)
    await assert.rejects(put(medium(), 2), { code: 'file_refused', message: /user 12345/ })
    assert.equal((await stat(path)).uid, 12_345)
    assert.deepEqual(await litter(), [])
  })

  it('no directory behind a symbolic link: /var/run is one', async () => {
    const real = join(root, `${++media}`)
    await mkdir(real)
    await symlink(real, join(path, '..'))
    await put(medium(), 1)
    assert.deepEqual(await medium().read('key'), entry(1))
  })
})

describe('a damaged state file', () => {
  const damage: Record<string, string | Buffer> = {
    empty: '',
    'cut short': '{"format":1,"entries":{"key":{"generation":3,"sea',
    'no object': 'null',
    'a list': '[]',
    'of another format': '{"format":2,"entries":{}}',
    'without entries': '{"format":1,"entries":null}',
    'no text': Buffer.from([0xff, 0x00, 0xfe, 0x80]),
  }
  for (const [kind, content] of Object.entries(damage)) {
    it(`is read as holding nothing and kept aside at the first change: ${kind}`, async () => {
      await place(content)
      const warned: [string, LogFields | undefined][] = []
      const log: Log = { ...silentLog, warn: (event, fields) => warned.push([event, fields]) }
      const one = medium(new PatientClock(), log)
      assert.deepEqual(await one.read('key'), emptyEntry)
      assert.deepEqual(await readFile(path), Buffer.from(content), 'reading leaves it alone')
      await put(one, 1)
      await put(one, 2)
      assert.deepEqual(await medium().read('key'), entry(2))
      assert.deepEqual(await readFile(`${path}.unreadable`), Buffer.from(content))
      assert.deepEqual(warned, [['store_file_unreadable', { path, kept_as: `${path}.unreadable` }]])
      assert.equal((await stat(`${path}.unreadable`)).mode & 0o777, 0o600)
    })
  }

  it('loses no entry when only one of them is damaged', async () => {
    const content = JSON.stringify({ format: 1, entries: { other: entry(5), key: { generation: 'x' } } })
    await place(content)
    await put(medium(), 1)
    assert.deepEqual(await medium().read('other'), entry(5))
    assert.deepEqual(await medium().read('key'), entry(1))
    assert.equal(await readFile(`${path}.unreadable`, 'utf8'), content)
  })

  it('is not kept aside through a link that somebody put there', async () => {
    const target = join(root, 'precious')
    await writeFile(target, 'precious')
    await place('damaged')
    await symlink(target, `${path}.unreadable`)
    const disk = interceptDisk((step) => {
      if (step === 'writeFile') symlinkSync(target, `${path}.unreadable`)
    })
    await assert.rejects(put(medium(), 1), { code: 'EEXIST' })
    await disk.restore()
    await put(medium(), 1)
    assert.equal(await readFile(target, 'utf8'), 'precious')
    assert.equal(await readFile(`${path}.unreadable`, 'utf8'), 'damaged')
  })
})

describe('a write', () => {
  it('waits for those of its own process without asking the disk over and over', async () => {
    // This clock never ends a sleep.
    const one = medium(new FakeClock())
    const epochs = Array.from({ length: 20 }, () =>
      one.update('key', ({ epoch }) => entry(epoch + 1), soon()),
    )
    assert.deepEqual((await Promise.all(epochs)).at(-1), entry(20))
  })

  it('leaves the old content or the new one when the process dies before any of its steps', async () => {
    const steps: string[] = []
    for (let last = 0; ; last++) {
      path = join(root, `${++media}`, 'tokens.json')
      await put(medium(), 1)
      let count = 0
      let dying = () => {}
      const died = new Promise<'died'>((resolve) => {
        dying = () => resolve('died')
      })
      const disk = interceptDisk((step) => {
        if (count++ < last) return
        if (count - 1 === last) steps.push(step)
        dying()
        return new Promise(() => {})
      })
      const outcome = await Promise.race([died, put(medium(), 2)])
      await disk.restore()
      const found = await medium().read('key')
      assert.ok(found.epoch === 1 || found.epoch === 2)
      if (outcome !== 'died') {
        assert.equal(found.epoch, 2)
        break
      }
      const next = await medium(new EagerClock()).update('key', ({ epoch }) => entry(epoch + 10), soon())
      assert.equal(next.epoch, found.epoch + 10)
      assert.deepEqual(await litter(), [], `after dying before step ${last}, ${steps.at(-1)}`)
    }
    for (const step of ['mkdir', 'handle.writeFile', 'handle.sync', 'rename']) {
      assert.ok(steps.includes(step), `died before ${step} among ${steps}`)
    }
  })

  for (const code of ['ENOSPC', 'EROFS']) {
    it(`that meets ${code} at any step tells so, loses nothing, and leaves nothing behind`, async () => {
      for (let failing = 0, failed = true; failed; failing++) {
        path = join(root, `${++media}`, 'tokens.json')
        await put(medium(), 1)
        let count = 0
        failed = false
        const disk = interceptDisk((step) => {
          if (count++ !== failing) return
          failed = true
          throw Object.assign(new Error(`${step} failed`), { code })
        })
        const one = medium()
        const outcome = await put(one, 2).then(
          () => null,
          (error: NodeJS.ErrnoException) => error.code,
        )
        await disk.restore()
        assert.equal(outcome, failed ? code : null)
        const { epoch } = await one.read('key')
        assert.ok(epoch === 1 || epoch === 2)
        await put(medium(new EagerClock()), 3)
        assert.deepEqual(await litter(), [])
      }
    })
  }

  it('that fails for good fails at once, and the next one is not held up by it', async () => {
    await put(medium(), 1)
    const one = medium()
    const disk = interceptDisk((step) => {
      if (step === 'handle.writeFile') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    })
    await assert.rejects(put(one, 2), { code: 'ENOSPC' })
    await assert.rejects(put(one, 3), { code: 'ENOSPC' })
    await disk.restore()
    // No other process has to wait for a lock to become stale either: the clock of this one stands still.
    await put(medium(new FakeClock()), 4)
    assert.deepEqual(await one.read('key'), entry(4))
  })

  it('to a place that cannot be one tells the system’s reason', async () => {
    await place('a file, no directory')
    path = join(path, 'tokens.json')
    await assert.rejects(put(medium(), 1), { code: 'ENOTDIR' })
    const gone = join(root, 'gone')
    await symlink(join(root, 'nowhere'), gone)
    path = join(gone, 'state', 'tokens.json')
    await assert.rejects(put(medium(), 1), ({ code }) => code === 'ENOTDIR' || code === 'ENOENT')
  })

  it('that was given up while it waited for its turn changes nothing', async () => {
    const one = medium()
    const controller = new AbortController()
    const first = put(one, 1)
    const second = one.update('key', () => entry(2), controller.signal)
    controller.abort(new Error('enough'))
    await first
    await assert.rejects(second, { message: 'enough' })
    assert.deepEqual(await one.read('key'), entry(1))
    assert.deepEqual(await litter(), [])
  })

  it('that was given up in the middle changes nothing', async () => {
    await put(medium(), 1)
    const controller = new AbortController()
    const update = medium().update(
      'key',
      () => {
        controller.abort(new Error('enough'))
        return entry(2)
      },
      controller.signal,
    )
    await assert.rejects(update, { message: 'enough' })
    assert.deepEqual(await medium().read('key'), entry(1))
    assert.deepEqual(await litter(), [])
  })

  it('that throws over a change leaves the lock free', async () => {
    const one = medium()
    const failing = one.update(
      'key',
      () => {
        throw new Error('no such change')
      },
      soon(),
    )
    await assert.rejects(failing, { message: 'no such change' })
    await put(medium(new FakeClock()), 1)
  })
})

describe('watching a file', () => {
  it('tells of its own entry only', async () => {
    const one = medium()
    let mine = 0
    const other = new Promise<void>((resolve) => {
      one.watch('other', resolve)
    })
    one.watch('key', () => mine++)
    await put(medium(), 1)
    await until(() => mine === 1)
    await put(medium(), 2, 'other')
    await other
    await put(medium(), 2)
    await until(() => mine === 2)
    await one.close()
  })

  it('ends with the medium, and closing again is harmless', async () => {
    const one = medium()
    let told = 0
    one.watch('key', () => told++)
    await one.close()
    await one.close()
    const witness = medium()
    const seen = new Promise<void>((resolve) => {
      witness.watch('key', resolve)
    })
    await put(medium(), 1)
    await seen
    await witness.close()
    assert.equal(told, 0)
  })

  it('tells nothing once ended, not even what it was just reading', async () => {
    await place('')
    let told = 0
    const end = medium().watch('key', () => told++)
    let ended = () => {}
    const read = new Promise<void>((resolve) => {
      ended = resolve
    })
    const disk = interceptDisk((step, of) => {
      if (of !== path) return
      if (step === 'open') end()
      if (step === 'handle.close') ended()
    })
    writeFileSync(path, JSON.stringify({ format: 1, entries: { key: entry(1) } }))
    await read
    await systemClock.sleep(1)
    await disk.restore()
    assert.equal(told, 0)
  })

  it('is done without where it cannot be had', async () => {
    await place('a file, no directory')
    path = join(path, 'tokens.json')
    const lost: string[] = []
    const one = medium(new PatientClock(), { ...silentLog, debug: (event) => lost.push(event) })
    one.watch('key', () => {})()
    assert.deepEqual(lost, ['store_watch_failed'])
  })
})

async function until(reached: () => boolean): Promise<void> {
  const signal = soon()
  while (!reached()) await systemClock.sleep(2, signal)
}
