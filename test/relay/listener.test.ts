import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Listener } from '../../proxy/relay/listener.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Sizes of the groups in which so many connections are handed on that are made at once. */
async function groupsOf(connections: number, monotonic: () => number): Promise<number[]> {
  const groups: number[] = []
  let isNew = true
  let left = connections
  let done = () => {}
  const allHandedOn = new Promise<void>((resolve) => {
    done = resolve
  })
  const path = join(tempDir(), 'socket')
  const listener = new Listener({ kind: 'unix', path }, { monotonic }, (socket) => {
    if (isNew) groups.push(0)
    isNew = false
    groups.push((groups.pop() as number) + 1)
    queueMicrotask(() => {
      isNew = true
    })
    socket.destroy()
    if (--left === 0) done()
  })
  await listener.open()
  // Unlike a TCP handshake, that of a socket file is over when connect() returns.
  const callers = Array.from({ length: connections }, () => connect(path))
  await allHandedOn
  listener.close()
  await Promise.all(callers.map(async (caller) => caller.resume().closed || once(caller, 'close')))
  return groups
}

describe('the listener', () => {
  it('hands connections that come together on together, so that the last is not served long after the first', async () => {
    assert.deepEqual(await groupsOf(20, () => 0), [20])
  })

  it('hands a lone connection on', async () => {
    assert.deepEqual(await groupsOf(1, () => 0), [1])
  })

  it('hands on what it has gathered when it is closed', async () => {
    const path = join(tempDir(), 'socket')
    const accepted: Socket[] = []
    let whenClosed = -1
    const monotonic = () => {
      // Just after the connection has come, and before the turn of the event loop is over.
      queueMicrotask(() => {
        listener.close()
        whenClosed = accepted.length
      })
      return 0
    }
    const listener = new Listener({ kind: 'unix', path }, { monotonic }, (socket) => accepted.push(socket))
    await listener.open()
    const caller = connect(path)
    await once(caller, 'connect')
    while (whenClosed === -1) await turn()
    await turn()
    assert.deepEqual([whenClosed, accepted.length], [1, 1])
    for (const socket of [caller, ...accepted]) socket.destroy()
  })

  it('lets nobody wait for newcomers for ever', async () => {
    let now = 0
    const groups = await groupsOf(20, () => {
      now += 50
      return now
    })
    assert.ok(groups.length > 1, `groups of ${groups}`)
    assert.ok(Math.max(...groups) <= 5, `groups of ${groups}`)
  })
})
