import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  HOUR,
  holding,
  type MachineDriver,
  MINUTE,
  outcomes,
  SECOND,
  stored,
  tokenOf,
} from './machine-driver.ts'

/** A rejection that is answered by a mint, at once. */
function replaceFor(machine: MachineDriver, value: string): void {
  const read = machine.rejected().includes('read') || machine.wait(SECOND).tick().includes('read')
  assert.ok(read, 'the store is read')
  machine.toNewToken(value)
  machine.wait(SECOND)
}

/** Milliseconds until a rejected token may be replaced, rejections going on all the time. */
function pauseBefore(machine: MachineDriver): number {
  const since = machine.instant.mono
  while (machine.instant.mono - since < 2 * HOUR) {
    machine.wait(SECOND)
    if (machine.rejected().includes('read') && machine.read().includes('acquire')) {
      return machine.instant.mono - since
    }
  }
  return Number.POSITIVE_INFINITY
}

// Rule 4: a rejection counts only against the token it was sent with.

test('the first rejection of a token leads to a replacement at once', () => {
  const machine = holding()
  assert.deepEqual(machine.rejected(), ['read'])
  assert.deepEqual(machine.read(), ['acquire'])
  assert.ok(machine.told.includes('token_suspect'))
})

test('a thousand rejections lead to one read and one mint', () => {
  const machine = holding()
  const actions = Array.from({ length: 1_000 }, () => machine.rejected()).flat()
  assert.deepEqual(actions, ['read'])
  machine.toMint()
  assert.deepEqual(Array.from({ length: 1_000 }, () => machine.rejected()).flat(), [])
  assert.equal(machine.told.filter((event) => event === 'token_suspect').length, 1)
})

test('an accepted call that was sent after the rejection came back clears the token, and nothing is minted', () => {
  const machine = holding()
  machine.rejected(200)
  machine.accepted(251)
  assert.deepEqual(machine.wait(10).read(), [])
  assert.deepEqual(machine.wait(SECOND).tick(), [])
})

test('an accepted call that was under way together with the rejected one proves nothing', () => {
  const machine = holding()
  machine.accepted(199)
  machine.rejected(200)
  assert.deepEqual(machine.accepted(250).read(), ['acquire'])
})

test('beside traffic that is accepted, a rejection waits a quarter of a second for a call that clears the token', () => {
  const machine = holding()
  machine.accepted(225)
  machine.rejected(200)
  assert.deepEqual(machine.read(), [])
  assert.deepEqual(machine.wait(249).tick(), machine.wait(0).tick(), 'nothing but reads')
  if (machine.state.phase.kind === 'reading') machine.read()
  machine.wait(250).tick()
  assert.deepEqual(machine.read(), ['acquire'])
})

test('the store is read again after each rejection, even while no mint is allowed, at most five times a second', () => {
  const machine = holding()
  replaceFor(machine, 'b')
  assert.deepEqual(machine.rejected(), ['read'])
  assert.deepEqual(machine.read(), [])
  assert.deepEqual(machine.wait(50).rejected(), [], 'put off, not forgotten')
  assert.deepEqual(machine.wait(149).tick(), [])
  assert.deepEqual(machine.wait(1).tick(), ['read'])
  assert.deepEqual(machine.read(), [])
  assert.deepEqual(machine.wait(SECOND).tick(), [])
})

test('after a mint for a rejection the next one waits for MINT_MIN_INTERVAL', () => {
  const machine = holding()
  replaceFor(machine, 'b')
  assert.equal(pauseBefore(machine), 29 * SECOND)
})

test('while fresh tokens keep being rejected, the pauses double up to an hour', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  replaceFor(machine, 'b')
  const pauses: number[] = []
  for (let turn = 0; turn < 9; turn++) {
    pauses.push(pauseBefore(machine))
    machine.read()
    machine.on({ kind: 'leased', state: stored(machine.state.token) })
    machine.on({ kind: 'begun', count: 1 })
    machine.mintEnds({
      kind: 'minted',
      token: { value: tokenOf(turn + 10).value, validTill: null, mintedAt: machine.instant.now },
    })
    machine.on({ kind: 'published', accepted: true })
  }
  const inMinutes = pauses.map((ms) => Math.round(ms / MINUTE))
  assert.deepEqual(inMinutes.slice(1), [1, 2, 4, 8, 16, 32, 60, 60])
})

test('a replay that proves the replaced token had been dead makes the pauses short again', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  replaceFor(machine, 'b')
  pauseBefore(machine)
  machine.on({ kind: 'leased', state: stored(machine.state.token) })
  machine.on({ kind: 'begun', count: 1 })
  machine.mintEnds({
    kind: 'minted',
    token: { value: tokenOf(3).value, validTill: null, mintedAt: machine.instant.now },
  })
  machine.on({ kind: 'published', accepted: true })
  machine.on({ kind: 'replay_accepted', generation: 2 })
  assert.equal(pauseBefore(machine), 30 * SECOND)
})

test('a replay after somebody’s planned rotation proves nothing about a mint for rejections', () => {
  const machine = holding(tokenOf(1, { validTill: null }))
  replaceFor(machine, 'b')
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(3, { validTill: null }))
  machine.on({ kind: 'replay_accepted', generation: 2 })
  assert.equal(machine.state.rejectionStreak, 1)
})

test('a suspect token that another process replaced counts as replaced: no second mint within the interval', () => {
  const machine = holding()
  machine.rejected()
  machine.read(tokenOf(2))
  assert.equal(pauseBefore(machine), 30 * SECOND)
})

test('an unsuspected token that another process replaced before its time is not replaced again at once', () => {
  const machine = holding()
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(2))
  assert.equal(pauseBefore(machine), 30 * SECOND)
})

test('a token replaced in its refresh window says nothing of rejections: the next one that dies is replaced at once', () => {
  const machine = holding()
  machine.instant.now += 56 * MINUTE
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(2, { mintedAt: machine.instant.now, validTill: machine.instant.now + HOUR }))
  assert.equal(pauseBefore(machine), SECOND)
})

// Rule 10: foreign mints.

test('a replaced token that a replay shows dead was revoked by somebody else: counted, and warned of once', () => {
  const machine = holding()
  replaceFor(machine, 'b')
  machine.on({ kind: 'replay_accepted', generation: 1 })
  machine.on({ kind: 'replay_accepted', generation: 1 })
  assert.equal(machine.told.filter((event) => event === 'foreign').length, 1)
  assert.equal(machine.told.filter((event) => event === 'foreign_mint').length, 1)
})

test('a token that died after a mint of ours went unanswered was not revoked by somebody else', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(outcomes.timeout)
  machine.wait(3 * SECOND).rejected()
  machine.toNewToken('b')
  machine.on({ kind: 'replay_accepted', generation: 1 })
  assert.ok(!machine.told.includes('foreign'))
})

test('nor was one that died after another process’s rotation came to nothing', () => {
  const machine = holding()
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(1), { rotating: true })
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(1), { rotating: false })
  machine.wait(SECOND).rejected()
  machine.toNewToken('b')
  machine.on({ kind: 'replay_accepted', generation: 1 })
  assert.ok(!machine.told.includes('foreign'))
})

test('as foreign mints go on, replacements slow down to one in five minutes', () => {
  const machine = holding(tokenOf(1, { validTill: null }), { mintMinIntervalMs: SECOND })
  const pauses: number[] = []
  for (let turn = 0; turn < 12; turn++) {
    pauses.push(Math.round(pauseBefore(machine) / SECOND))
    const generation = machine.state.token?.generation ?? 0
    machine.on({ kind: 'leased', state: stored(machine.state.token) })
    machine.on({ kind: 'begun', count: 1 })
    machine.mintEnds({
      kind: 'minted',
      token: { value: tokenOf(turn + 10).value, validTill: null, mintedAt: machine.instant.now },
    })
    machine.on({ kind: 'published', accepted: true })
    machine.on({ kind: 'replay_accepted', generation })
  }
  assert.deepEqual(pauses, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
})
