import assert from 'node:assert/strict'
import { chown, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type Clock, systemClock } from '../../proxy/lib/clock.ts'
import { FileLock } from '../../proxy/stores/file-lock.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { EagerClock, filesUnder, interceptDisk, PatientClock } from './disk.ts'
import { soon } from './store-use.ts'

let root: string
let file: string
let count = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'file-lock-'))
})
beforeEach(async () => {
  file = join(root, `${++count}`, 'file')
})
after(() => rm(root, { recursive: true }))

function lock(clock: Clock, id = `p${++count}`): FileLock {
  return new FileLock(file, id, clock)
}

/** What a process leaves that is killed in its turn. */
async function leaveTurn(name: string): Promise<string> {
  const held = join(`${file}.lock`, 'held')
  await mkdir(held, { recursive: true })
  await writeFile(join(held, name), '')
  return join(held, name)
}

/** Begins a turn and holds it until `end` is called. */
async function begin(of: FileLock) {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  let replace = (_: string) => Promise.resolve()
  let over: Promise<void> = Promise.resolve()
  await new Promise<void>((entered, failed) => {
    over = of.run(soon(), (turn) => {
      replace = turn.replace
      entered()
      return ended
    })
    over.catch(failed)
  })
  return {
    replace: (content: string) => replace(content),
    end: () => {
      end()
      return over
    },
  }
}

/** Whether somebody who comes now has to wait. */
async function isTaken(): Promise<boolean> {
  const clock = new FakeClock()
  const controller = new AbortController()
  clock.sleep = async () => controller.abort(new Error('taken'))
  return lock(clock)
    .run(controller.signal, async () => false)
    .catch((error: Error) => error.message === 'taken')
}

describe('a file lock', () => {
  it('lets one work at a time, and all in the end', async () => {
    let inside = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inside)
      await systemClock.sleep(1)
      inside--
    }
    const locks = Array.from({ length: 6 }, () => lock(new PatientClock()))
    const turns = locks.flatMap((one) => [1, 2, 3].map(() => () => one.run(soon(), work)))
    await Promise.all(turns.map((turn) => turn()))
    assert.equal(most, 1)
    assert.deepEqual(await filesUnder(join(file, '..')), [])
  })

  it('hands back what the work gives, and passes on what it throws', async () => {
    const one = lock(new FakeClock())
    assert.equal(await one.run(soon(), async () => 7), 7)
    await assert.rejects(
      one.run(soon(), () => Promise.reject(new Error('no'))),
      { message: 'no' },
    )
    assert.equal(await isTaken(), false)
  })

  it('is free as soon as the file is replaced, and a turn replaces it once', async () => {
    const turn = await begin(lock(new FakeClock()))
    assert.equal(await isTaken(), true)
    await turn.replace('first')
    assert.equal(await isTaken(), false)
    await assert.rejects(turn.replace('second'), { code: 'lock_lost' })
    await turn.end()
    assert.equal(await readFile(file, 'utf8'), 'first')
  })

  it('flushes what it writes before moving it, and the move afterwards', async () => {
    const steps: string[] = []
    const disk = interceptDisk((step, path) => {
      if (/writeFile|sync|rename/.test(step)) steps.push(`${step} ${path.replace(join(file, '..'), '')}`)
    })
    await lock(new FakeClock(), 'p').run(soon(), (turn) => turn.replace('content'))
    await disk.restore()
    assert.deepEqual(steps, [
      'rename /file.lock/p.1',
      'handle.writeFile /file.lock/held/p.1',
      'handle.sync /file.lock/held/p.1',
      'rename /file.lock/held/p.1',
      'handle.sync ',
    ])
  })

  it('of a process that died is waited for a second, not less', async () => {
    await leaveTurn('dead.1')
    const clock = new EagerClock()
    await lock(clock).run(soon(), async () => {})
    assert.ok(clock.monotonic() >= 1_000 && clock.monotonic() <= 1_050, `${clock.monotonic()}`)
  })

  it('that changes hands is watched anew', async () => {
    const turn = await leaveTurn('busy.1')
    const clock = new EagerClock()
    const sleep = clock.sleep.bind(clock)
    clock.sleep = async (delayMs, signal) => {
      await sleep(delayMs, signal)
      if (clock.monotonic() === 900) await rename(turn, turn.replace('busy.1', 'busy.2'))
    }
    await lock(clock).run(soon(), async () => {})
    assert.ok(clock.monotonic() >= 1_900, `${clock.monotonic()}`)
  })

  it('is given up with the signal’s reason, without a trace', async () => {
    const turn = await leaveTurn('busy.1')
    const signal = AbortSignal.abort(new Error('gone'))
    await assert.rejects(
      lock(new PatientClock()).run(signal, async () => {}),
      { message: 'gone' },
    )
    const controller = new AbortController()
    const clock = new FakeClock()
    clock.sleep = async () => controller.abort(new Error('enough'))
    await assert.rejects(
      lock(clock).run(controller.signal, async () => {}),
      { message: 'enough' },
    )
    assert.deepEqual(await filesUnder(join(file, '..')), [turn])
  })
})

describe('a lock in a directory where others may write', () => {
  it('is not taken where its own directory is a link to somebody else’s', async () => {
    const theirs = join(root, `${++count}`)
    await mkdir(theirs)
    await writeFile(join(theirs, 'precious'), '')
    await mkdir(dirname(file))
    await symlink(theirs, `${file}.lock`)
    await assert.rejects(
      lock(systemClock).run(soon(), async () => {}),
      { code: 'file_refused' },
    )
    assert.deepEqual(await filesUnder(theirs), [join(theirs, 'precious')])
  })

  const noRoot = process.getuid?.() !== 0 && 'only root can make another user’s directory'
  it('is not taken in another user’s directory', { skip: noRoot }, async () => {
    await mkdir(`${file}.lock`, { recursive: true })
    await chown(`${file}.lock`, 12_345, 12_345)
    await assert.rejects(
      lock(systemClock).run(soon(), async () => {}),
      { code: 'file_refused' },
    )
  })

  it('does not write to what a link in its draft’s place points at', async () => {
    const precious = join(root, 'precious')
    await writeFile(precious, 'precious')
    const turn = await begin(lock(systemClock, 'victim'))
    const draft = join(`${file}.lock`, 'held', 'victim.1')
    await rm(draft)
    await symlink(precious, draft)
    await assert.rejects(turn.replace('content'), { code: 'file_refused' })
    assert.equal(await readFile(precious, 'utf8'), 'precious')
    await turn.end()
  })
})

describe('an owner that was stopped for too long', () => {
  it('can neither replace the file nor end its successor’s turn', async () => {
    const stopped = await begin(lock(new PatientClock()))
    const successor = await begin(lock(new EagerClock()))
    await assert.rejects(stopped.replace('stale'), { code: 'lock_lost' })
    await stopped.end()
    assert.equal(await isTaken(), true)
    await successor.replace('new')
    await successor.end()
    assert.equal(await readFile(file, 'utf8'), 'new')
    assert.equal(await isTaken(), false)
  })

  it('can do so not even when it had only the last step before it', async () => {
    const stopped = await begin(lock(new PatientClock(), 'stopped'))
    let goOn = () => {}
    const reached = new Promise<void>((resolve) => {
      const disk = interceptDisk(async (step, path) => {
        if (step !== 'rename' || !path.includes('stopped')) return
        resolve()
        await disk.restore()
        await new Promise<void>((wake) => {
          goOn = wake
        })
      })
    })
    const replaced = assert.rejects(stopped.replace('stale'), { code: 'lock_lost' })
    await reached
    await lock(new EagerClock()).run(soon(), (turn) => turn.replace('new'))
    goOn()
    await replaced
    await stopped.end()
    assert.equal(await readFile(file, 'utf8'), 'new')
  })
})

describe('two processes that find the same lock stale', () => {
  it('never both enter, however late the second one ends the dead turn', async () => {
    const dead = await leaveTurn('dead.1')
    let goOn = () => {}
    const late = new Promise<void>((wake) => {
      goOn = wake
    })
    let waiting = () => {}
    const reached = new Promise<void>((resolve) => {
      waiting = resolve
    })
    let first = true
    const disk = interceptDisk(async (step, path) => {
      if (step !== 'rm' || path !== dead || !first) return
      first = false
      waiting()
      await late
    })
    const slowClock = new EagerClock()
    let slowEntered = false
    const slow = lock(slowClock).run(soon(), async () => {
      slowEntered = true
    })
    await reached
    const quick = await begin(lock(new EagerClock()))
    // From here on nothing becomes stale for the slow one: its clock stands still, it only asks again.
    const asked = new Promise<void>((resolve) => {
      let times = 0
      slowClock.sleep = async () => {
        await systemClock.sleep(1)
        if (++times === 3) resolve()
      }
    })
    goOn()
    await asked
    assert.equal(slowEntered, false)
    await quick.replace('quick')
    await quick.end()
    await slow
    await disk.restore()
    assert.equal(await readFile(file, 'utf8'), 'quick')
  })
})

describe('what killed processes left before their turn', () => {
  it('is removed', async () => {
    for (const name of ['dead.1', 'dead.2', 'dead.waste']) {
      await mkdir(join(`${file}.lock`, name), { recursive: true })
      await writeFile(join(`${file}.lock`, name, name), '')
    }
    await lock(new FakeClock()).run(soon(), (turn) => turn.replace('content'))
    assert.deepEqual(await filesUnder(join(file, '..')), [file])
  })

  it('may turn out to be a living process’s, which makes it anew', async () => {
    const own = join(`${file}.lock`, 'waiter.1')
    const steps = ['open', 'rename']
    const disk = interceptDisk(async (step, path) => {
      if (!path.startsWith(own) || step !== steps[0]) return
      steps.shift()
      await rm(own, { recursive: true })
    })
    await lock(new PatientClock(), 'waiter').run(soon(), (turn) => turn.replace('waiter'))
    await disk.restore()
    assert.deepEqual(steps, [])
    assert.equal(await readFile(file, 'utf8'), 'waiter')
  })

  it('is told from the living’s while processes come and go all the time', async () => {
    let inside = 0
    let most = 0
    const comeAndGo = async (_: unknown, process: number) => {
      for (let time = 0; time < 25; time++) {
        await lock(new PatientClock()).run(soon(), async (turn) => {
          most = Math.max(most, ++inside)
          await systemClock.sleep(0)
          inside--
          if (process % 2 === 0) await turn.replace('content')
        })
      }
    }
    await Promise.all(Array.from({ length: 6 }, comeAndGo))
    assert.equal(most, 1)
    assert.deepEqual(await filesUnder(join(file, '..')), [file])
  })

  it('may turn out to be a waiting process’s, which gets its turn all the same', async () => {
    const holder = await begin(lock(new PatientClock()))
    const waiter = lock(new PatientClock()).run(soon(), (turn) => turn.replace('waiter'))
    const waiting = async () => (await filesUnder(`${file}.lock`)).length === 2
    while (!(await waiting())) await systemClock.sleep(1)
    assert.equal(await isTaken(), true)
    await holder.end()
    await waiter
    assert.equal(await readFile(file, 'utf8'), 'waiter')
    assert.deepEqual(await filesUnder(join(file, '..')), [file])
  })
})
