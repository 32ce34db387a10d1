import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { TOKEN_HEADER } from '../relay/contract/world.ts'
import { HostileCaller } from './exchange/hostile-caller.ts'
import { judgeCaller, judgeUpstream } from './exchange/judge.ts'
import { type Script, scripts } from './exchange/script.ts'
import { FuzzWorld } from './exchange/world.ts'
import { fuzzer } from './target.ts'

/** Each call has a bound, and a caller has at most four: after so long every connection is closed, whoever does nothing. */
const LONGEST_MS = 20 * 60_000
const STEP_MS = 20_000
/** Real time. */
const PATIENCE_MS = 10_000
/** More than the upstream's timeout, which is ten seconds here. */
const LEFT_ALONE_MS = 15_000
/** More than that of a caller who does not read, behind all that a call may wait for before. */
const LONGEST_LEFT_ALONE_MS = 120_000

async function run({ callers: callerScripts, plans, tokens }: Script): Promise<void> {
  const world = await FuzzWorld.start(plans, tokens)
  const { quiescence, upstream } = world
  const callers = callerScripts.map((script, at) => new HostileCaller(`c${at}`, script, quiescence))
  try {
    await Promise.all(callers.map((caller) => caller.play(world.port)))
    for (let ms = 0; ms < LONGEST_MS && !callers.every(isDone); ms += STEP_MS) await quiescence.pass(STEP_MS)
    // On a machine that is busy elsewhere the system itself may take its time with what was sent.
    const patience = performance.now() + PATIENCE_MS
    while (!callers.every(isDone) && performance.now() < patience) {
      await delay(20)
      await quiescence.pass(STEP_MS)
    }
    for (const caller of callers) assert.ok(isDone(caller), 'a connection stays open for ever')
    for (const caller of callers) caller.destroy()
    // A reset behind data that is not read yet is noticed when the call's own time is up.
    await quiescence.pass(LEFT_ALONE_MS)
    for (let ms = LEFT_ALONE_MS; ms < LONGEST_LEFT_ALONE_MS && !world.isIdle; ms += LEFT_ALONE_MS)
      await quiescence.pass(LEFT_ALONE_MS)
    judgeUpstream(upstream, callers, TOKEN_HEADER)
    for (const caller of callers) judgeCaller(caller, upstream)
    await world.expectClean()
    await world.end()
  } finally {
    for (const caller of callers) caller.destroy()
    await world.close()
  }
}

/** A tunnel stays open as long as both sides want. */
function isDone(caller: HostileCaller): boolean {
  return caller.isClosed || caller.received.includes('HTTP/1.1 101 ')
}

export const exchange = fuzzer<Script>({
  name: 'exchange',
  inputs: scripts,
  regressions: [],
  testRuns: 100,
  run,
})
