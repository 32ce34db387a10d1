/**
 * Floods the built sidecar for minutes, with several kinds of flood at a time, chosen anew every few seconds, while normal
 * calls go on beside them. Exit code 1 when a normal call fails or takes too long, when the sidecar needs more memory than its container
 * has, or when it keeps memory or descriptors afterwards. `--seed` chooses the same floods again.
 *
 *     tsx scripts/flood.ts --minutes 10 --seed 7
 */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { LIMIT_BYTES, startFloodedSidecar } from '../test/flood/flooded-sidecar.ts'
import { type FloodName, floods } from '../test/flood/floods.ts'
import { echo, makeCall, type Outcome, startLoad } from '../test/support/load.ts'
import { LatencyHistogram } from '../test/support/load-histogram.ts'
import { misused, readFlags } from './flags.ts'
import { seeded } from './soak-faults.ts'

const usage = 'usage: flood [--minutes N] [--seed N]'
const flags = readFlags(usage, {
  minutes: { type: 'string', default: '1' },
  seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
})
const minutes = Number(flags.minutes)
const seed = Number(flags.seed)
if (!(minutes > 0) || !Number.isInteger(seed)) misused(usage)

const TURN_MS = 5_000
/** How many kinds at a time; each with a share of its lanes, so that together they are about as many as one alone. */
const KINDS = 3
/** All share one machine, so calls that go round the sidecar say how long one may take: this much, and some times theirs. */
const LONGEST_CALL_MS = 5_000
const TIMES_DIRECT = 10
/** A caller that is turned away because all places are taken by calls asks again. */
const LONGEST_WAIT_FOR_A_PLACE_MS = 30_000
/** With all places taken all the time, V8 has grown to some 100 MB, and keeps what it does not need to collect. */
const MEMORY_LEFT_BYTES = 128 * 1024 * 1024
const DESCRIPTORS_LEFT = 40
/** Idle connections to upstreams go within 30 s; garbage is collected when there is nothing else to do. */
const REST_MS = 60_000
const MOST_EXAMPLES = 20

const random = seeded(seed)
const undo: (() => Promise<void> | void)[] = []
const world = await startFloodedSidecar({ after: (run) => void undo.push(run) })
const { sidecar } = world
const latency = new LatencyHistogram()
const direct = new LatencyHistogram()
const failures = new Map<string, number>()
const flooded = new Map<FloodName, number>()
const broken: string[] = []
const examples: string[] = []
/** The floods of the moment. */
let under = ''
let turnedAway = 0
let peakBytes = 0

await makeCall(sidecar.url, echo(0), false)
const before = { memoryBytes: world.memoryBytes(), descriptors: world.descriptors() }
console.log(`seed ${seed}, ${minutes} minutes, ${world.cap === null ? 'without' : 'in'} a control group`)

const load = startLoad({ urls: [sidecar.url], parallel: 8, pauseMs: 20, done: judge })
const control = startLoad({
  urls: [world.upstreamUrl],
  parallel: 8,
  pauseMs: 20,
  plan: () => ({ method: 'GET', path: '/bytes/1', check: () => null }),
  done: ({ latencyMs }) => direct.add(latencyMs),
})
const stop = new AbortController()
const newcomers = Promise.all([1, 2].map(callOnNewConnections))
const watch = setInterval(() => {
  peakBytes = Math.max(peakBytes, world.memoryBytes())
}, 100)
const end = performance.now() + minutes * 60_000
while (performance.now() < end && sidecarLives()) await floodOnce()
stop.abort()
await Promise.all([load.stop(), control.stop(), newcomers])
clearInterval(watch)
const after = await rested()
report()
if (sidecarLives()) {
  const code = await sidecar.stop()
  if (code !== 0) broken.push(`the sidecar ended with exit code ${code}`)
}
for (const run of undo.reverse()) await run()
for (const rule of broken) console.log(`BROKEN: ${rule}`)
process.exit(broken.length === 0 ? 0 : 1)

async function floodOnce(): Promise<void> {
  const names = (Object.keys(floods) as FloodName[])
    .map((name) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, KINDS)
    .map(({ name }) => name)
  under = names.join(', ')
  world.begin(names, 1 / KINDS)
  await sleep(TURN_MS)
  const { counts, faults } = await world.end()
  for (const [name, count] of counts) flooded.set(name, (flooded.get(name) ?? 0) + count)
  broken.push(...faults)
}

function judge({ startedAt, latencyMs, failure }: Outcome): void {
  latency.add(latencyMs)
  if (failure === null) return
  failures.set(failure, (failures.get(failure) ?? 0) + 1)
  if (examples.length < MOST_EXAMPLES)
    examples.push(
      `${new Date(startedAt).toISOString()} +${latencyMs.toFixed(0)} ms: ${failure}, beside ${under}`,
    )
}

/** A connection for each call: what counts is the time from when a place was had. */
async function callOnNewConnections(): Promise<void> {
  while (!stop.signal.aborted) {
    const began = performance.now()
    let outcome = await makeCall(sidecar.url, echo(1), false)
    while (isTurnedAway(outcome) && performance.now() - began < LONGEST_WAIT_FOR_A_PLACE_MS) {
      turnedAway++
      await sleep(50)
      outcome = await makeCall(sidecar.url, echo(1), new Agent({ keepAlive: false }))
    }
    judge(outcome)
    await sleep(100)
  }
}

function isTurnedAway({ status, failure, latencyMs }: Outcome): boolean {
  return (
    status === null &&
    (failure === 'ECONNRESET' || failure === 'EPIPE') &&
    latencyMs < LONGEST_WAIT_FOR_A_PLACE_MS
  )
}

function sidecarLives(): boolean {
  try {
    process.kill(sidecar.pid, 0)
    return true
  } catch {
    return false
  }
}

/** What the sidecar holds once it has been left in peace. */
async function rested(): Promise<(typeof before & { readonly tookMs: number }) | null> {
  if (!sidecarLives()) {
    broken.push('the sidecar ended during the flood')
    return null
  }
  const began = performance.now()
  const patience = began + REST_MS
  for (;;) {
    const now = { memoryBytes: world.memoryBytes(), descriptors: world.descriptors() }
    const isBack =
      now.memoryBytes <= MEMORY_LEFT_BYTES && now.descriptors <= before.descriptors + DESCRIPTORS_LEFT
    if (isBack || performance.now() >= patience) return { ...now, tookMs: performance.now() - began }
    await sleep(500)
  }
}

function slowest(histogram: LatencyHistogram): string {
  return `${histogram.quantileMs(0.99).toFixed(0)} ms, ${histogram.longestMs.toFixed(0)} ms`
}

function report(): void {
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  const failed = [...failures].map(([what, times]) => `${times} × ${what}`).join(', ') || '0'
  const rows: [string, string | number][] = [
    ...[...flooded].map(([name, count]): [string, number] => [`flood: ${name}`, count]),
    ['normal calls', latency.total],
    ['failures', failed],
    ['turned away while full, then served', turnedAway],
    ['their p99 and longest', slowest(latency)],
    ['of calls without the sidecar', slowest(direct)],
    ['memory before', mb(before.memoryBytes)],
    ['memory, peak', `${mb(peakBytes)} of ${mb(LIMIT_BYTES)}`],
    ['control group, peak', world.cap === null ? 'none' : mb(world.cap.peakBytes())],
    [
      'memory after',
      after === null ? 'gone' : `${mb(after.memoryBytes)} (${(after.tookMs / 1_000).toFixed(1)} s later)`,
    ],
    ['descriptors before and after', `${before.descriptors}, ${after === null ? 'gone' : after.descriptors}`],
  ]
  for (const [name, value] of rows) console.log(`${name.padEnd(38)} ${value}`)
  for (const example of examples) console.log(`  ${example}`)
  if (failures.size > 0) broken.push('normal calls failed')
  if (latency.total < minutes * 60) broken.push('hardly any normal call was made')
  if (latency.longestMs > LONGEST_CALL_MS + TIMES_DIRECT * direct.longestMs)
    broken.push('a normal call took too long')
  if (peakBytes > LIMIT_BYTES) broken.push('more memory was used than a container of that size has')
  if (after === null) return
  if (after.memoryBytes > MEMORY_LEFT_BYTES) broken.push('memory was not given back')
  if (after.descriptors > before.descriptors + DESCRIPTORS_LEFT)
    broken.push('descriptors were not given back')
}
