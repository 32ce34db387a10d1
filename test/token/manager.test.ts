import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HeldToken } from '../../proxy/token/source.ts'
import { settled } from '../support/fake-clock.ts'
import { DRAIN_MS, HOUR, MINUTE, minted, NOON, outcomes, SECOND } from './machine-driver.ts'
import { FaultyMedium, Scene, watched } from './scene.ts'

/** The token for a call that was rejected with another, an hour's life ahead of it. */
async function replaced({ manager, clock, minter, waiting }: Scene, rejected: HeldToken, value: string) {
  const replacement = manager.replace(rejected, clock.monotonic(), waiting())
  await settled()
  minter.answers(minted(value, { validTill: clock.now() + HOUR }))
  return (await replacement) as HeldToken
}

// What calls are given.

test('a held token is given at once; before the first one calls wait for it', async () => {
  const scene = await new Scene().start()
  assert.equal(scene.manager.peek(true), null)
  const call = watched(scene.manager.current(scene.waiting()))
  await scene.clock.advance(2 * SECOND)
  assert.equal(call.state, 'pending')
  scene.minter.answers(minted('a'))
  await settled()
  assert.equal(call.value?.value.reveal(), 'a')
  assert.equal(scene.manager.peek(true), call.value)
  await scene.stop()
})

test('an expired token is never given, though nothing told the manager that the clock has jumped', async () => {
  const scene = new Scene()
  await scene.startHolding()
  scene.clock.jumpWall(HOUR)
  assert.equal(scene.manager.peek(true), null)
  const call = watched(scene.manager.current(scene.waiting()))
  await scene.clock.advance(SECOND)
  assert.equal(call.state, 'pending')
  scene.minter.answers(minted('b', { validTill: NOON + 3 * HOUR, mintedAt: scene.clock.now() }))
  await settled()
  assert.equal(call.value?.value.reveal(), 'b')
  await scene.stop()
})

test('a call that can be repeated waits ROTATION_HOLD for a rotation, then goes with the old token', async () => {
  const scene = new Scene()
  const old = await scene.startHolding(null)
  scene.manager.scheduled()
  await scene.clock.advance(SECOND)
  scene.manager.rotate(new AbortController().signal).catch(() => {})
  await settled()
  const replayable = watched(scene.manager.current(scene.waiting()))
  const unreplayable = watched(scene.manager.current(scene.waiting({ replayable: false })))
  await scene.clock.advance(999)
  assert.equal(replayable.state, 'pending')
  await scene.clock.advance(1)
  assert.equal(replayable.value, old)
  await scene.clock.advance(2 * SECOND)
  assert.equal(scene.minter.sent, 2)
  assert.equal(unreplayable.state, 'pending', 'it would be lost if the old token were dead')
  scene.minter.answers(minted('b', { validTill: null }))
  await settled()
  assert.equal(unreplayable.value?.value.reveal(), 'b')
  await scene.stop()
})

test('with no token to be had the wait ends at HOLD_TIMEOUT, with the reason', async () => {
  const scene = await new Scene().start()
  const call = watched(scene.manager.current(scene.waiting()))
  await scene.clock.advance(9_999)
  assert.equal(call.state, 'pending')
  await scene.clock.advance(1)
  assert.equal((call.error as { code?: string }).code, 'token_unavailable')
  scene.minter.answers(outcomes.timeout)
  await scene.stop()
})

for (const [outcome, code] of [
  [outcomes.secretRejected, 'secret_rejected'],
  [outcomes.quota, 'mint_budget_exhausted'],
] as const) {
  test(`nobody waits in vain: ${code} is told at once`, async () => {
    const scene = await new Scene().start()
    const early = watched(scene.manager.current(scene.waiting()))
    scene.minter.answers(outcome)
    await settled()
    assert.equal((early.error as { code?: string }).code, code)
    await assert.rejects(scene.manager.current(scene.waiting()), { code })
    await scene.stop()
  })
}

test('a caller that leaves ends its own wait; the mint goes on and the others get its token', async () => {
  const scene = await new Scene().start()
  const caller = new AbortController()
  const leaving = watched(scene.manager.current(scene.waiting({ signal: caller.signal })))
  const staying = watched(scene.manager.current(scene.waiting()))
  caller.abort(new Error('gone'))
  await settled()
  assert.equal((leaving.error as Error).message, 'gone')
  scene.minter.answers(minted('a'))
  await settled()
  assert.equal(staying.value?.value.reveal(), 'a')
  assert.equal(scene.minter.sent, 1)
  await scene.stop()
})

// Rejections.

test('a thousand calls rejected with one token wait for one mint and get its token', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const sentAt = scene.clock.monotonic()
  const calls = Array.from({ length: 1_000 }, () =>
    watched(scene.manager.replace(old, sentAt, scene.waiting())),
  )
  await settled()
  assert.equal(scene.minter.sent, 2)
  scene.minter.answers(minted('b'))
  await settled()
  assert.ok(calls.every(({ value }) => value?.value.reveal() === 'b'))
  await scene.stop()
})

test('a call rejected with an older token is sent again with the held one, and nothing is minted', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  scene.manager.replace(old, scene.clock.monotonic(), scene.waiting()).catch(() => {})
  await settled()
  scene.minter.answers(minted('b'))
  await settled()
  const late = await scene.manager.replace(old, 0, scene.waiting())
  assert.equal(late?.value.reveal(), 'b')
  assert.equal(scene.minter.sent, 2)
  await scene.stop()
})

test('a rejected call gets its answer passed on, not an error, when no token is to be had', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const call = watched(scene.manager.replace(old, scene.clock.monotonic(), scene.waiting()))
  await settled()
  scene.minter.answers(outcomes.secretRejected)
  await settled()
  assert.deepEqual(call, { state: 'resolved', value: null })
  await scene.stop()
})

test('nor does an older token’s call get an error when the newer one has expired', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  scene.manager.replace(old, scene.clock.monotonic(), scene.waiting()).catch(() => {})
  await settled()
  scene.minter.answers(minted('b', { validTill: NOON + 2 * MINUTE, mintedAt: scene.clock.now() }))
  await settled()
  scene.minter.answer = () => outcomes.secretRejected
  await scene.clock.advance(3 * MINUTE)
  assert.equal(await scene.manager.replace(old, 0, scene.waiting()), null)
  await scene.stop()
})

test('a replay rejected with a token that came by plan waits for its replacement: a second token died', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const replay = watched(
    scene.manager.replace(
      scene.manager.peek(true) as HeldToken,
      scene.clock.monotonic(),
      scene.waiting({ isReplay: true }),
    ),
  )
  await scene.clock.advance(249)
  assert.equal(scene.minter.sent, 1, 'the endpoint may reject every token')
  await scene.clock.advance(1)
  assert.equal(scene.minter.sent, 2)
  scene.minter.answers(minted('b'))
  await settled()
  assert.equal(replay.value?.value.reveal(), 'b')
  await scene.stop()
})

test('but an accepted call in that time clears the token: its rejection passes, and nothing is minted', async () => {
  const scene = new Scene()
  const held = await scene.startHolding()
  const sentAt = scene.clock.monotonic()
  const replay = watched(scene.manager.replace(held, sentAt, scene.waiting({ isReplay: true })))
  await scene.clock.advance(100)
  held.acceptedSentAt = scene.clock.monotonic()
  await scene.clock.advance(10 * MINUTE)
  assert.deepEqual(replay, { state: 'resolved', value: null })
  assert.equal(scene.minter.sent, 1)
  await scene.stop()
})

test('one rejected with a token that was minted for its rejection does not wait, nor is that token replaced', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const first = scene.manager.replace(old, scene.clock.monotonic(), scene.waiting())
  await settled()
  scene.minter.answers(minted('b', { validTill: scene.clock.now() + HOUR }))
  const replacement = (await first) as HeldToken
  const replay = watched(
    scene.manager.replace(replacement, scene.clock.monotonic(), scene.waiting({ isReplay: true })),
  )
  await settled()
  assert.deepEqual(replay, { state: 'resolved', value: null })
  await scene.clock.advance(10 * MINUTE)
  assert.equal(scene.minter.sent, 2)
  await scene.stop()
})

test('unless others are known to mint: then it waits for the next one, as long as calls wait', async () => {
  const scene = new Scene({ policy: { mintMinIntervalMs: SECOND } })
  const first = await scene.startHolding()
  const { manager, clock, minter } = scene
  const second = await replaced(scene, first, 'b')
  manager.replayAccepted(first)
  assert.equal(manager.status().foreignMints, 1)
  await clock.advance(10 * SECOND)
  const third = await replaced(scene, second, 'c')
  const sent = minter.sent
  const replay = watched(manager.replace(third, clock.monotonic(), scene.waiting({ isReplay: true })))
  await clock.advance(5 * SECOND)
  assert.equal(replay.state, 'pending')
  minter.answers(minted('d', { validTill: clock.now() + HOUR }))
  await settled()
  assert.equal(replay.value?.value.reveal(), 'd')
  assert.equal(minter.sent, sent + 1)
  await scene.stop()
})

test('nor where others mint, when no call can wait as long as the pause', async () => {
  const scene = new Scene({ policy: { mintMinIntervalMs: 30 * SECOND } })
  const first = await scene.startHolding()
  const { manager, clock, minter } = scene
  const second = await replaced(scene, first, 'b')
  manager.replayAccepted(first)
  await clock.advance(MINUTE)
  const third = await replaced(scene, second, 'c')
  const sent = minter.sent
  const replay = watched(manager.replace(third, clock.monotonic(), scene.waiting({ isReplay: true })))
  await settled()
  assert.deepEqual(replay, { state: 'resolved', value: null })
  await clock.advance(10 * MINUTE)
  assert.equal(minter.sent, sent)
  await scene.stop()
})

test('one rejected while that token is replaced already waits for the newer one', async () => {
  const scene = new Scene()
  const held = await scene.startHolding()
  scene.manager.rotate(new AbortController().signal).catch(() => {})
  await settled()
  const replay = watched(scene.manager.replace(held, 0, scene.waiting({ isReplay: true })))
  await scene.clock.advance(DRAIN_MS)
  assert.equal(replay.state, 'pending')
  scene.minter.answers(minted('b'))
  await settled()
  assert.equal(replay.value?.value.reveal(), 'b')
  await scene.stop()
})

test('a call that cannot be repeated tells of its rejection and is not kept waiting', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const call = watched(
    scene.manager.replace(old, scene.clock.monotonic(), scene.waiting({ replayable: false })),
  )
  await settled()
  assert.deepEqual(call, { state: 'resolved', value: null })
  assert.equal(scene.minter.sent, 2, 'the token is replaced all the same')
  scene.minter.answers(minted('b'))
  await scene.stop()
})

test('the work for a call that waits does not grow with the number of those that wait already', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const { manager, clock } = scene
  let looks = 0
  const monotonic = clock.monotonic
  clock.monotonic = () => {
    looks++
    return monotonic()
  }
  const calls: Promise<unknown>[] = []
  const come = (count: number) => {
    looks = 0
    for (let call = 0; call < count; call++) {
      calls.push(manager.replace(old, monotonic(), scene.waiting()), manager.current(scene.waiting()))
    }
    return looks / count
  }
  come(10)
  await settled()
  const first = come(100)
  assert.ok(come(1_000) <= first, 'looks at the clock for each call')
  scene.minter.answers(minted('b'))
  await Promise.all(calls)
  await scene.stop()
})

test('a call that waits with an expired token costs no busy loop', async () => {
  const scene = new Scene()
  await scene.startHolding()
  scene.medium.hanging = true
  scene.clock.jumpWall(HOUR)
  const call = watched(scene.manager.current(scene.waiting()))
  await scene.clock.advance(SECOND)
  let timers = 0
  const after = scene.clock.after
  scene.clock.after = (delayMs, run) => {
    timers++
    return after(delayMs, run)
  }
  await scene.clock.advance(SECOND)
  assert.equal(call.state, 'pending')
  assert.ok(timers < 20, `${timers} timers in a second`)
  await scene.stop()
})

// Whose doing a dead token was.

test('a call that our own mint killed under way does not count as a foreign mint when its replay is accepted', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const { manager } = scene
  const refusedEverywhere = manager.replace(old, scene.clock.monotonic(), scene.waiting())
  await settled()
  scene.minter.answers(minted('b'))
  await refusedEverywhere
  for (let calls = 0; calls < 3; calls++) {
    await manager.replace(old, 0, scene.waiting())
    manager.replayAccepted(old)
  }
  assert.equal(manager.status().foreignMints, 0)
  await scene.stop()
})

test('a call that was rejected before anything was minted proves a foreign mint when its replay is accepted', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const { manager } = scene
  const first = manager.replace(old, scene.clock.monotonic(), scene.waiting())
  await settled()
  scene.minter.answers(minted('b'))
  await first
  await manager.replace(old, 0, scene.waiting())
  manager.replayAccepted(old)
  assert.equal(manager.status().foreignMints, 0, 'it may have been the late one')
  manager.replayAccepted(old)
  assert.equal(manager.status().foreignMints, 1)
  await scene.stop()
})

// A person's wish.

test('rotate mints now and resolves when the new token is held', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const rotated = scene.manager.rotate(new AbortController().signal)
  await scene.clock.advance(DRAIN_MS)
  scene.minter.answers(minted('b'))
  assert.equal((await rotated).generation, 2)
  await scene.stop()
})

test('rotate rejects when the token API refuses', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const rotated = scene.manager.rotate(new AbortController().signal)
  await scene.clock.advance(DRAIN_MS)
  scene.minter.answers(outcomes.secretRejected)
  await assert.rejects(rotated, { code: 'secret_rejected' })
  await scene.stop()
})

test('rotate waits for the repetition after an unanswered mint, and gives up in time', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const rotated = watched(scene.manager.rotate(new AbortController().signal))
  await scene.clock.advance(DRAIN_MS)
  scene.minter.answers(outcomes.status500)
  await scene.clock.advance(3 * SECOND)
  assert.equal(scene.minter.sent, 3)
  assert.equal(rotated.state, 'pending')
  scene.minter.answers(outcomes.timeout)
  scene.minter.answer = () => outcomes.status500
  await scene.clock.advance(20 * SECOND)
  assert.equal((rotated.error as { code?: string }).code, 'token_unavailable')
  await scene.stop()
})

test('a person who leaves does not take the wish back', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const person = new AbortController()
  const rotated = scene.manager.rotate(person.signal)
  person.abort(new Error('gone'))
  await assert.rejects(rotated, { message: 'gone' })
  await scene.clock.advance(DRAIN_MS)
  scene.minter.answers(minted('b'))
  await settled()
  assert.equal(scene.manager.status().generation, 2)
  await scene.stop()
})

// The end.

test('stop during a mint waits for its answer and stores it', async () => {
  const scene = await new Scene().start()
  const stopped = watched(scene.stop())
  const call = watched(scene.manager.current(scene.waiting()))
  await scene.clock.advance(SECOND)
  assert.equal(stopped.state, 'pending')
  scene.minter.answers(minted('a'))
  await settled()
  await settled()
  assert.equal(stopped.state, 'resolved')
  assert.equal(call.value?.value.reveal(), 'a')
  const next = await new Scene({ medium: scene.medium, clock: scene.clock, id: 'next' }).start()
  assert.equal(next.manager.peek(true)?.value.reveal(), 'a')
  assert.equal(next.minter.sent, 0)
  await next.stop()
  await scene.clock.advance(SECOND)
  assert.equal(scene.clock.pending, 0)
})

test('stop waits for a token that the store has not taken yet', async () => {
  const scene = await new Scene().start()
  scene.medium.down = 'writes'
  scene.minter.answers(minted('a'))
  await scene.clock.advance(200)
  const stopped = watched(scene.stop())
  await scene.clock.advance(4 * SECOND)
  assert.equal(stopped.state, 'pending')
  scene.medium.down = false
  await scene.clock.advance(4 * SECOND)
  assert.equal(stopped.state, 'resolved')
  const state = await scene.store.read(new AbortController().signal)
  assert.equal(state.token?.value.reveal(), 'a')
  assert.equal(scene.clock.pending, 0)
})

test('but no longer than a lease lasts, when the store takes nothing', async () => {
  const scene = await new Scene().start()
  scene.medium.down = 'writes'
  scene.minter.answers(minted('a'))
  await scene.clock.advance(200)
  const stopped = watched(scene.stop())
  await scene.clock.advance(8 * SECOND)
  assert.equal(stopped.state, 'resolved')
  assert.equal(scene.clock.pending, 0)
})

test('calls that wait when the manager stops are told so; rejected ones get their answer passed on', async () => {
  const scene = await new Scene().start()
  scene.minter.answers(outcomes.timeout)
  await settled()
  const call = watched(scene.manager.current(scene.waiting()))
  await scene.stop()
  await settled()
  assert.equal((call.error as { code?: string }).code, 'shutting_down')
  await assert.rejects(scene.manager.current(scene.waiting()), { code: 'shutting_down' })

  const other = new Scene()
  const old = await other.startHolding()
  other.medium.hanging = true
  const rejected = watched(other.manager.replace(old, other.clock.monotonic(), other.waiting()))
  await other.stop()
  await settled()
  assert.deepEqual(rejected, { state: 'resolved', value: null })
  assert.equal(await other.manager.replace(old, 0, other.waiting()), null)
})

test('a person who waits for a rotation is told when the manager stops, and one who comes later at once', async () => {
  const scene = new Scene()
  await scene.startHolding()
  scene.medium.down = 'all'
  const rotated = watched(scene.manager.rotate(new AbortController().signal))
  await settled()
  await scene.stop()
  await settled()
  assert.equal((rotated.error as { code?: string }).code, 'shutting_down')
  await assert.rejects(scene.manager.rotate(new AbortController().signal), { code: 'shutting_down' })
  await scene.clock.advance(SECOND)
  assert.equal(scene.clock.pending, 0)
})

for (const [when, upTo] of [
  ['before it started', async () => {}],
  ['while it reads the store', async (scene: Scene) => scene.manager.start()],
  ['while it holds a token', async (scene: Scene) => void (await scene.startHolding())],
  [
    'while its store hangs',
    async (scene: Scene) => {
      scene.medium.hanging = true
      await scene.start()
    },
  ],
  [
    'while calls wait',
    async (scene: Scene) => {
      await scene.start()
      scene.minter.answers(outcomes.timeout)
      scene.manager.current(scene.waiting()).catch(() => {})
      await settled()
    },
  ],
] as const) {
  test(`a manager stopped ${when} leaves no timer behind`, async () => {
    const scene = new Scene()
    await upTo(scene)
    await scene.stop()
    await scene.clock.advance(SECOND)
    assert.equal(scene.clock.pending, 0)
  })
}

// The lease.

test('a lease that is granted after its request timed out is given back, and does not take the place of a newer one', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const { manager, medium, clock } = scene
  const acquiring = medium.holdBack(2)
  manager.rotate(new AbortController().signal).catch(() => {})
  const open = await acquiring
  await clock.advance(4 * SECOND)
  assert.equal(scene.minter.sent, 2, 'the second attempt got through')
  open()
  await settled()
  scene.minter.answers(minted('b'))
  await settled()
  assert.equal(manager.peek(true)?.value.reveal(), 'b')
  assert.equal((await scene.store.read(new AbortController().signal)).token?.value.reveal(), 'b')
  await scene.stop()
})

test('a process that stops while it asks for the right to mint gives it back, and mints nothing', async () => {
  const scene = new Scene()
  await scene.startHolding()
  const acquiring = scene.medium.holdBack(2)
  scene.manager.rotate(new AbortController().signal).catch(() => {})
  const open = await acquiring
  const stopped = scene.stop()
  open()
  await stopped
  assert.equal(scene.minter.sent, 1)
  const next = scene.partsFor('the secret', 'next').store
  assert.notEqual(await next.acquire(8_000, new AbortController().signal), null)
})

test('the minter is got ready while the rotation is announced, and not by those who only ask for the right to mint', async () => {
  const scene = new Scene()
  await scene.startHolding()
  assert.equal(scene.minter.warmed, 1)
  const acquiring = scene.medium.holdBack(2)
  const rotated = scene.manager.rotate(new AbortController().signal)
  const acquired = await acquiring
  assert.equal(scene.minter.warmed, 1)
  const beginning = scene.medium.holdBack(1)
  acquired()
  const begun = await beginning
  assert.deepEqual([scene.minter.warmed, scene.minter.sent], [2, 1])
  begun()
  await scene.clock.advance(SECOND)
  scene.minter.answers(minted('token-2'))
  await rotated
  await scene.stop()
})

// A new secret.

test('a new secret’s token takes the place of the old one’s; the old one serves meanwhile', async () => {
  const scene = new Scene()
  const old = await scene.startHolding()
  const next = scene.partsFor('another secret')
  scene.manager.replaceSecret(next)
  await settled()
  assert.equal(next.minter.sent, 1)
  await scene.clock.advance(SECOND)
  assert.equal(scene.manager.peek(true), old)
  next.minter.answers(minted('of the new secret'))
  await settled()
  assert.equal(scene.manager.peek(true)?.value.reveal(), 'of the new secret')
  const kept = await next.store.read(new AbortController().signal)
  assert.equal(kept.token?.value.reveal(), 'of the new secret')
  await scene.stop()
})

test('a secret that changes during a mint is taken up when the mint has ended, and its answer goes to the old entry', async () => {
  const scene = await new Scene().start()
  const next = scene.partsFor('another secret')
  scene.manager.replaceSecret(next)
  await settled()
  assert.equal(next.minter.sent, 0)
  scene.minter.answers(minted('of the old secret'))
  await settled()
  assert.equal(next.minter.sent, 1)
  assert.equal(
    (await scene.store.read(new AbortController().signal)).token?.value.reveal(),
    'of the old secret',
  )
  next.minter.answers(minted('of the new secret'))
  await settled()
  assert.equal(scene.manager.peek(true)?.value.reveal(), 'of the new secret')
  await scene.stop()
})

for (const failing of [false, true]) {
  test(`an offer under way to the old secret’s entry, which ${failing ? 'fails' : 'is taken'}, touches the new one’s in no way`, async () => {
    const scene = await new Scene({ medium: new FaultyMedium() }).start()
    scene.medium.down = 'writes'
    scene.minter.answers(minted('of the old secret'))
    await settled()
    const offering = scene.medium.holdBack(1)
    await scene.clock.advance(200)
    const open = await offering
    const next = scene.partsFor('another secret')
    scene.manager.replaceSecret(next)
    await settled()
    scene.medium.down = failing ? 'writes' : false
    open()
    await settled()
    scene.medium.down = false
    await scene.clock.advance(6 * SECOND)
    assert.equal(next.minter.sent, 1)
    next.minter.answers(minted('of the new secret'))
    await scene.clock.advance(6 * SECOND)
    assert.equal(scene.manager.peek(true)?.value.reveal(), 'of the new secret')
    const kept = await next.store.read(new AbortController().signal)
    assert.equal(kept.token?.value.reveal(), 'of the new secret')
    await scene.stop()
  })
}
