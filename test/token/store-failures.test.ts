import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holding, MachineDriver, minted, NOON, SECOND, stored, tokenOf } from './machine-driver.ts'

test('while the store cannot be reached nothing is minted, and it is tried again with jitter', () => {
  const machine = new MachineDriver()
  machine.tick()
  const pauses: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    assert.deepEqual(machine.on({ kind: 'store_failed', during: 'read' }), [])
    const since = machine.instant.mono
    while (!machine.tick().includes('read')) machine.wait(25)
    pauses.push(machine.instant.mono - since)
  }
  assert.deepEqual(pauses, [125, 250, 500, 1_000, 2_000, 2_500, 2_500, 2_500])
  assert.equal(machine.told.filter((event) => event === 'store_unreachable').length, 1)
})

test('a store that answers reads and refuses writes is backed off from too', () => {
  const machine = new MachineDriver()
  machine.tick()
  let reads = 0
  while (machine.instant.mono < 60 * SECOND) {
    if (machine.state.phase.kind === 'reading') {
      reads++
      if (machine.read(null).includes('acquire')) machine.on({ kind: 'store_failed', during: 'acquire' })
    }
    machine.wait(25).tick()
  }
  assert.ok(reads < 40, `${reads} reads in a minute`)
  assert.equal(machine.told.filter((event) => event === 'store_unreachable').length, 1)
  assert.equal(machine.state.storeHealthy, false)
})

test('a wish outlives a store failure', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.on({ kind: 'store_failed', during: 'read' })
  assert.deepEqual(machine.wait(5 * SECOND).tick(), ['read'])
  assert.deepEqual(machine.read(), ['acquire'])
  machine.on({ kind: 'store_failed', during: 'acquire' })
  machine.wait(5 * SECOND).tick()
  assert.deepEqual(machine.read(), ['acquire'])
})

test('a failure to announce gives the lease back and sends nothing', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.read()
  machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
  assert.deepEqual(machine.on({ kind: 'store_failed', during: 'begin' }), ['release'])
})

// Rule 9: publish even if persisting failed; retry the write.

test('a token that could not be stored is used, and offered to the store until that takes it', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(minted('b'))
  machine.on({ kind: 'store_failed', during: 'publish' })
  assert.equal(machine.state.token?.generation, 2)
  assert.deepEqual(machine.wait(5 * SECOND).tick(), ['offer'])
  machine.on({ kind: 'store_failed', during: 'offer' })
  assert.ok(
    machine
      .wait(5 * SECOND)
      .tick()
      .includes('offer'),
  )
})

test('when the store has taken it at last, the lease is given back and the others need not wait for its end', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(minted('b'))
  machine.on({ kind: 'store_failed', during: 'publish' })
  machine.wait(SECOND).tick()
  const token = machine.state.token
  assert.deepEqual(machine.on({ kind: 'offered', state: stored(token) }), ['release'])
})

test('an offer that ends while a new attempt is under way leaves that attempt’s lease alone', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(minted('b'))
  machine.on({ kind: 'store_failed', during: 'publish' })
  machine.wait(SECOND).tick()
  machine.on({ kind: 'asked' })
  machine.read(tokenOf(1))
  machine.on({ kind: 'leased', state: stored(tokenOf(1)) })
  assert.deepEqual(machine.on({ kind: 'offered', state: stored(machine.state.token) }), [])
})

test('a store that lost data gets the held token back', () => {
  const machine = holding(tokenOf(4))
  machine.on({ kind: 'store_changed' })
  assert.deepEqual(machine.read(tokenOf(3)), ['offer'])
  assert.equal(machine.state.token?.generation, 4)
})

test('a store that never shows what it was given is not offered it in a busy loop', () => {
  const machine = holding(tokenOf(4))
  let offers = 0
  machine.on({ kind: 'store_changed' })
  machine.read(null)
  for (let turn = 0; turn < 1_000; turn++) {
    if (machine.wait(10).tick().includes('offer')) offers++
    for (let echo = 0; echo < 5; echo++) {
      if (machine.on({ kind: 'offered', state: stored(null) }).includes('offer')) offers++
    }
  }
  assert.ok(offers <= 3, `${offers} offers in ten seconds`)
})

test('a token published too late is offered, and kept while the store holds nothing newer', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(minted('b'))
  const actions = machine.on({ kind: 'published', accepted: false })
  assert.ok(actions.includes('offer'), `${actions}`)
  machine.on({ kind: 'store_changed' })
  machine.read(tokenOf(1), { rotating: true })
  assert.equal(machine.state.token?.value.reveal(), 'b', 'the one before it is dead for certain')
})

test('the successor’s token is taken as soon as it is there, though both have the same number', () => {
  const machine = holding()
  machine.on({ kind: 'asked' })
  machine.toMint()
  machine.mintEnds(minted('b'))
  machine.on({ kind: 'published', accepted: false })
  machine.on({ kind: 'offered', state: stored(tokenOf(2)) })
  assert.equal(machine.state.token?.value.reveal(), 'token-2')
})

test('with the store down a living token goes on being used', () => {
  const machine = holding()
  machine.on({ kind: 'store_changed' })
  machine.on({ kind: 'store_failed', during: 'read' })
  assert.equal(machine.state.token?.generation, 1)
  assert.equal(machine.state.token?.validTill, NOON + 3_600_000)
})
