import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { echo, makeCall, type Outcome, startLoad } from '../support/load.ts'
import { LIMIT_BYTES, startFloodedSidecar } from './flooded-sidecar.ts'
import { type FloodName, floods } from './floods.ts'

const FLOOD_MS = 1_500
/** Attacker, upstream, sidecar and caller share the processors of one machine, perhaps with others. */
const PATIENCE_MS = 15_000
/** Connections to upstreams that may wait in the pool, and those of the probe itself. */
const FEW_DESCRIPTORS = 40

/** Null, or why a new caller was not served. Behind a full line of attackers that have left by now it is turned away, and comes again. */
async function soonServed(url: string): Promise<string | null> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const { failure } = await makeCall(url, echo(1), false)
    if (performance.now() > end) return failure ?? `not served within ${PATIENCE_MS} ms`
    if (failure !== 'ECONNRESET') return failure
  }
}

describe('under a flood', () => {
  const undo: (() => Promise<void> | void)[] = []
  after(async () => {
    for (const run of undo.reverse()) await run()
  })
  const started = startFloodedSidecar({ after: (run) => void undo.push(run) })
  let before = 0

  it('the sidecar is started as the image starts it', async (t) => {
    const { sidecar, cap, descriptors } = await started
    if (cap === null) t.diagnostic('no control group can be made here: only the limit of Node itself is set')
    assert.equal((await makeCall(sidecar.url, echo(0), false)).failure, null)
    before = descriptors()
  })

  for (const name of Object.keys(floods) as FloodName[]) {
    it(`of ${name}, normal calls succeed meanwhile, and soon afterwards`, async () => {
      const { sidecar, begin, end, memoryBytes } = await started
      const outcomes: Outcome[] = []
      const load = startLoad({
        urls: [sidecar.url],
        parallel: 4,
        pauseMs: 20,
        done: (outcome) => void outcomes.push(outcome),
      })
      // Connected before the flood: whether a place can be had while calls take them all is another question.
      await sleep(100)
      begin([name])
      await sleep(FLOOD_MS)
      const { counts, faults } = await end()
      await load.stop()
      assert.equal(counts.length, 1)
      assert.deepEqual(faults, [])
      assert.deepEqual(new Set(outcomes.map(({ failure }) => failure)), new Set([null]))
      for (const { latencyMs } of outcomes) assert.ok(latencyMs < PATIENCE_MS, `a call took ${latencyMs} ms`)
      assert.equal(await soonServed(sidecar.url), null)
      assert.ok(memoryBytes() < LIMIT_BYTES, `${memoryBytes()} bytes`)
    })
  }

  it('descriptors are given back, and the process ends in order', async () => {
    const { sidecar, descriptors } = await started
    const end = performance.now() + 40_000
    while (descriptors() > before + FEW_DESCRIPTORS && performance.now() < end) await sleep(500)
    assert.ok(descriptors() <= before + FEW_DESCRIPTORS, `${descriptors()} descriptors, ${before} before`)
    assert.equal(await sidecar.stop(), 0)
  })
})
