import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settled } from '../support/fake-clock.ts'
import { minted, outcomes, SECOND } from './machine-driver.ts'
import { Scene } from './scene.ts'

const recentOf = (scene: Scene) => scene.manager.status().mints.recent

test('each attempt is kept with its outcome, its reason and how long it took', async () => {
  const scene = await new Scene().start()
  await scene.clock.advance(SECOND)
  scene.minter.answers(outcomes.status500)
  await scene.clock.advance(30 * SECOND)
  const sentAt = scene.clock.now()
  scene.minter.answers(minted('token-1'))
  await settled()
  const [second, first] = recentOf(scene)
  assert.equal(recentOf(scene).length, 2)
  assert.deepEqual(
    { ...first, durationMs: null },
    {
      at: sentAt - 30 * SECOND,
      outcome: 'unknown',
      reason: 'missing',
      durationMs: null,
      generation: null,
      fingerprint: null,
      error: { code: 'mint_status', errorId: null },
    },
  )
  assert.ok(first?.durationMs !== null && (first?.durationMs ?? 0) <= SECOND)
  assert.equal(second?.outcome, 'minted')
  assert.equal(second?.generation, 1)
  assert.equal(second?.fingerprint, scene.manager.status().fingerprint)
  assert.equal(second?.error, null)
  await scene.stop()
})

test('a refusal is told by the word that is counted for it', async () => {
  for (const [outcome, told] of [
    [outcomes.secretRejected, 'rejected'],
    [outcomes.quota, 'quota'],
    [outcomes.unreachable, 'error'],
  ] as const) {
    const scene = await new Scene().start()
    scene.minter.answers(outcome)
    await settled()
    assert.equal(recentOf(scene)[0]?.outcome, told)
    assert.equal(scene.manager.status().mints.outcomes[told], 1)
    await scene.stop()
  }
})

test('a token that another process minted is kept as adopted: nothing was asked for', async () => {
  const first = new Scene()
  await first.startHolding()
  const second = await new Scene({ medium: first.medium, clock: first.clock, id: 'other' }).start()
  await first.clock.advance(0)
  const [adopted] = recentOf(second)
  assert.equal(adopted?.outcome, 'adopted')
  assert.equal(adopted?.reason, null)
  assert.equal(adopted?.generation, 1)
  assert.equal(adopted?.fingerprint, first.manager.status().fingerprint)
  assert.equal(second.minter.sent, 0)
  await second.stop()
  await first.stop()
})

test('only the last twelve are kept, newest first, and a snapshot does not change afterwards', async () => {
  const scene = new Scene()
  await scene.startHolding(null)
  const snapshot = recentOf(scene)
  for (let number = 2; number <= 14; number++) {
    const rotated = scene.manager.rotate(new AbortController().signal)
    await scene.clock.advance(SECOND)
    scene.minter.answers(minted(`token-${number}`, { validTill: null, mintedAt: scene.clock.now() }))
    await rotated
    await scene.clock.advance(SECOND)
  }
  const generations = recentOf(scene).map(({ generation }) => generation)
  assert.deepEqual(generations, [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
  assert.equal(recentOf(scene)[0]?.reason, 'asked')
  assert.equal(snapshot.length, 1)
  await scene.stop()
})

test('who observes is called when a token changes, until it has had enough', async () => {
  const scene = await new Scene().start()
  let calls = 0
  const cancel = scene.manager.observe(() => calls++)
  scene.minter.answers(minted('token-1'))
  await settled()
  assert.ok(calls > 0)
  cancel()
  const seen = calls
  await scene.clock.advance(5 * SECOND)
  assert.equal(calls, seen)
  await scene.stop()
})
