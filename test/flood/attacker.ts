/** The other side as a process of its own, so that it takes no time from the calls that are measured. */
import { setMaxListeners } from 'node:events'
import type { Attack } from './attack-connection.ts'
import type { FromAttacker, ToAttacker } from './attacker-messages.ts'
import { type FloodName, floods } from './floods.ts'
import { startHostileUpstream } from './hostile-upstream.ts'

const upstream = await startHostileUpstream()
let stop = new AbortController()
let running: Promise<unknown> = Promise.resolve()
let counts = new Map<FloodName, number>()
const faults = new Set<string>()

process.on('message', async (message: ToAttacker) => {
  if (message.kind === 'begin') {
    stop = new AbortController()
    counts = new Map()
    setMaxListeners(0, stop.signal)
    const attack: Attack = {
      port: message.port,
      bombBytes: upstream.bombBytes,
      signal: stop.signal,
      fail: (what) => void (stop.signal.aborted || faults.add(what)),
    }
    const lanes = message.floods.flatMap((name) =>
      Array.from({ length: Math.ceil(floods[name].lanes * message.share) }, () => lane(name, attack)),
    )
    running = Promise.all(lanes)
    return
  }
  stop.abort()
  await running
  tell({ kind: 'ended', counts: [...counts], faults: [...faults] })
})
// The test that started it has ended.
process.on('disconnect', () => process.exit())
tell({ kind: 'ready', upstreamPort: upstream.port })

async function lane(name: FloodName, attack: Attack): Promise<void> {
  while (!attack.signal.aborted) {
    await floods[name].run(attack)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
}

function tell(message: FromAttacker): void {
  process.send?.(message)
}
