/**
 * Runs the built sidecar against the sandbox for minutes or days: tokens of two seconds, something going wrong every three,
 * calls in parallel whose bodies are verified end to end. Exit code 1 when a call failed that neither the upstream nor the
 * token API was bound to fail, or when the token API was asked against the rules. `--seed` repeats the faults and the calls of an earlier run.
 *
 *     tsx scripts/soak.ts --minutes 10 --seed 7 --parallel 100 --kill
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MintEvent } from '../sandbox/mint-log.ts'
import { startSandbox } from '../sandbox/server.ts'
import { type CallPlan, type Outcome, startLoad, upload } from '../test/support/load.ts'
import { LatencyHistogram } from '../test/support/load-histogram.ts'
import { type Sidecar, startSidecar } from '../test/support/sidecar-process.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { misused, readFlags } from './flags.ts'
import { type Cause, causeOf, type Trouble } from './soak-blame.ts'
import { between, inflict, oneOf, type Random, seeded } from './soak-faults.ts'

const usage = 'usage: soak [--minutes N] [--seed N] [--parallel N] [--kill]'
const flags = readFlags(usage, {
  minutes: { type: 'string', default: '5' },
  seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  parallel: { type: 'string', default: '100' },
  kill: { type: 'boolean', default: false },
})
const minutes = Number(flags.minutes)
const seed = Number(flags.seed)
const parallel = Number(flags.parallel)
if (!(minutes > 0) || !Number.isInteger(seed) || !(parallel >= 1)) misused(usage)

const LIFE_MS = 2_000
const FAULT_EVERY_MS = 3_000
const KILL_EVERY_FAULTS = 7
const QUARANTINE_MS = 500
const MOST_MEMORY_SAMPLES = 20

const undo: (() => Promise<void> | void)[] = []
const teardown = { after: (run: () => Promise<void> | void) => void undo.push(run) }
const random = seeded(seed)
const sandbox = await startSandbox({
  tokenLifeMs: LIFE_MS,
  validTillSpelling: 'fraction',
  tokenPort: 0,
  quotaPerDay: 1_000_000_000,
})
const settings = {
  CLIENT_SECRET: 'demo-secret',
  UPSTREAM_URL: sandbox.url,
  TOKEN_URL: sandbox.tokenUrl,
  TOKEN_STORE: `file:${join(tempDir(), 'tokens.json')}`,
  MINT_TIMEOUT: '1s',
  MINT_QUARANTINE: `${QUARANTINE_MS}ms`,
  MINT_MIN_INTERVAL: '1s',
  MINT_DAILY_BUDGET: '100000',
  ACCESS_LOG: 'off',
}

/** What is told at the end; all of it bounded. */
const latency = new LatencyHistogram()
const failures = new Map<string, number>()
const excused = new Map<Cause, Map<string, number>>([
  ['the upstream’s own', new Map()],
  ['no token was to be had', new Map()],
  ['a third token died under the call', new Map()],
])
const examples: string[] = []
const inflicted = new Map<string, number>()
const broken = new Set<string>()
const counted = { requests: 0, minted: 0, foreign: 0, faults: 0, kills: 0 }
const carried = { replaysAccepted: 0, replaysRejected: 0, replaysFailed: 0, unreplayable: 0, foreignSeen: 0 }
let memory: { readonly atS: number; readonly mb: number }[] = []
let memoryEveryS = 1
let lastRead = 0
let lastUnknown: MintEvent | null = null
/** The recent ones: what can still account for a failure. */
let troubles: Trouble[] = []

const began = performance.now()
const elapsedS = () => (performance.now() - began) / 1_000
console.log(
  `seed ${seed}, ${minutes} minutes, ${parallel} calls in parallel${flags.kill ? ', with kills' : ''}`,
)

let sidecar = await startSidecar(teardown, { ...settings })
const url = sidecar.url
await sidecar.ready()
const load = startLoad({ urls: [url], parallel, pauseMs: 50, plan: plansFrom(seeded(seed + 1)), done: judge })

for (let turn = 1; elapsedS() < minutes * 60; turn++) {
  await sleep(FAULT_EVERY_MS)
  await sample()
  readMintLog()
  if (flags.kill && turn % KILL_EVERY_FAULTS === 0) await killAndRestart()
  else {
    const { name, trouble } = inflict(sandbox, random)
    counted.faults++
    count(inflicted, name)
    if (trouble !== null) troubles = [...troubles.filter(({ until }) => until > Date.now() - 60_000), trouble]
  }
}
await sandbox.faults.clear()
await sleep(1_000)
await load.stop()
await sample()
readMintLog()
await carry(sidecar)
report()
const code = await sidecar.stop()
if (code !== 0) broken.add(`the sidecar ended with exit code ${code}`)
for (const run of undo) await run()
await sandbox.close()
for (const rule of broken) console.log(`BROKEN: ${rule}`)
process.exit(failures.size === 0 && broken.size === 0 ? 0 : 1)

/** Bodies are made once: what is to be loaded is the sidecar, not the generator. */
function plansFrom(chance: Random): () => CallPlan {
  const sizes = [0, 1, 200, 200, 200, 4_000, 4_000, 60_000, 300_000, 1024 * 1024]
  const bodies = sizes.map((size) => Buffer.from(Array.from({ length: size }, () => between(chance, 0, 255))))
  const uploads = bodies.flatMap((body) => [
    upload(body),
    upload(body),
    // The framing of chunks counts towards REPLAY_BODY_LIMIT: a mebibyte in chunks is a little more.
    upload(body.subarray(0, 1020 * 1024), true),
  ])
  const downloads = [178, 20_000, 1024 * 1024].map(download)
  const plans = [
    ...uploads,
    ...uploads.map((plan) => ({ ...plan, method: 'PUT' })),
    ...downloads,
    ...downloads,
  ]
  return () => oneOf(chance, plans)
}

function download(sizeBytes: number): CallPlan {
  const pattern = Buffer.alloc(sizeBytes, 'abcdefghijklmnopqrstuvwxyz')
  const expected = createHash('sha256').update(pattern).digest('hex')
  return {
    method: 'GET',
    path: `/bytes/${sizeBytes}`,
    check(status, body) {
      if (status !== 200) return `status ${status}${codeOf(body)}`
      const arrived = createHash('sha256').update(body).digest('hex')
      return arrived === expected ? null : 'the answer was changed on the way'
    },
  }
}

function codeOf(body: Buffer): string {
  const code = /"code":"(\w+)"/.exec(body.toString('latin1', 0, 500))?.[1]
  return code === undefined ? '' : ` ${code}`
}

function judge(outcome: Outcome): void {
  const { plan, startedAt, latencyMs, failure } = outcome
  latency.add(latencyMs)
  if (failure === null) return
  const cause = causeOf(outcome, troubles, sandbox.log.events)
  count((cause !== null && excused.get(cause)) || failures, failure)
  if (cause === 'the upstream’s own' || examples.length >= 60) return
  const size = plan.body?.length ?? 0
  examples.push(
    `${new Date(startedAt).toISOString()} +${latencyMs.toFixed(0)} ms: ${plan.method} ${plan.path} with ${size} bytes${plan.chunked ? ', chunked' : ''}: ${failure}`,
    ...sandbox.log.events
      .filter((mint) => isNear(mint, startedAt, latencyMs))
      .map((mint) => describe(mint, startedAt)),
  )
}

function isNear({ startedAt, endedAt }: MintEvent, from: number, forMs: number): boolean {
  return startedAt <= from + forMs && (endedAt ?? from) >= from - 2_000
}

/** One line on a mint, in ms from the start of a call. */
function describe(mint: MintEvent, from: number): string {
  const at = (instant: number | null) => (instant === null ? '-' : `${instant - from}`)
  const who = mint.foreign ? 'foreign' : 'ours'
  return `    ${who} generation ${mint.generation ?? '-'}, ${mint.outcome} ${mint.fault ?? ''}: began ${at(mint.startedAt)}, effect ${at(mint.processedAt)}, answered ${at(mint.answeredAt)}, over ${at(mint.endedAt)}`
}

async function killAndRestart(): Promise<void> {
  await carry(sidecar)
  const trouble = { from: Date.now(), explains: ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'] }
  troubles = [...troubles, { ...trouble, until: Number.POSITIVE_INFINITY }]
  await sidecar.kill()
  counted.kills++
  sidecar = await startSidecar(teardown, { ...settings, LISTEN: new URL(url).host })
  troubles = [...troubles.slice(0, -1), { ...trouble, until: Date.now() + 100 }]
}

/** A process's counters end with it. */
async function carry(ending: Sidecar): Promise<void> {
  const replays = (outcome: string) => ending.metric('token_sidecar_replays_total', { outcome })
  carried.replaysAccepted += await replays('accepted')
  carried.replaysRejected += await replays('rejected')
  carried.replaysFailed += await replays('failed')
  carried.unreplayable += await ending.metric('token_sidecar_unreplayable_total')
  carried.foreignSeen += await ending.metric('token_sidecar_foreign_mints_total')
}

async function sample(): Promise<void> {
  const last = memory.at(-1)
  if (last !== undefined && elapsedS() - last.atS < memoryEveryS) return
  const bytes = await sidecar.metric('process_resident_memory_bytes')
  memory.push({ atS: Math.round(elapsedS()), mb: Math.round(bytes / 1e6) })
  if (memory.length <= MOST_MEMORY_SAMPLES) return
  memory = memory.filter((_, index) => index % 2 === 0)
  memoryEveryS = (2 * elapsedS()) / MOST_MEMORY_SAMPLES
}

/** Holds what the token API saw since the last time against the rules. */
function readMintLog(): void {
  for (const event of sandbox.log.events) {
    if (event.id <= lastRead) continue
    // One that is under way, and what came after it, is read next time.
    if (event.endedAt === null) return
    lastRead = event.id
    if (event.foreign) {
      counted.foreign++
      continue
    }
    counted.requests++
    if (event.outcome === 'minted') counted.minted++
    if (event.inFlight > 1) broken.add('two requests to the token API were under way together')
    // 50 ms: the two sides read their clocks apart.
    const quietMs = event.startedAt - (lastUnknown?.endedAt ?? 0)
    if (lastUnknown !== null && quietMs < QUARANTINE_MS - 50) {
      broken.add(`a request came ${quietMs} ms after one of unknown outcome (${lastUnknown.fault})`)
    }
    lastUnknown = isUnknown(event) ? event : null
  }
}

function isUnknown({ fault, answeredAt }: MintEvent): boolean {
  return fault !== null || answeredAt === null
}

function report(): void {
  const allowed = Math.ceil((elapsedS() * 1_000) / (0.8 * LIFE_MS)) + 4 * (counted.faults + counted.kills)
  if (counted.requests > allowed)
    broken.add(`${counted.requests} requests to the token API, ${allowed} allowed`)
  const rows: [string, string | number][] = [
    ['calls', latency.total],
    ['failed at the sidecar', listOf(failures)],
    ...[...excused].map(([cause, times]): [string, string] => [`failed: ${cause}`, listOf(times)]),
    [
      'requests to the token API',
      `${counted.requests} (${counted.minted} minted, at most ${allowed} allowed)`,
    ],
    ['foreign mints', `${counted.foreign} made, ${carried.foreignSeen} told of`],
    [
      'replays',
      `${carried.replaysAccepted} accepted, ${carried.replaysRejected} rejected, ${carried.replaysFailed} failed`,
    ],
    ['unreplayable', carried.unreplayable],
    [
      'latency',
      `p50 ${latency.quantileMs(0.5).toFixed(1)} ms, p99 ${latency.quantileMs(0.99).toFixed(0)} ms, longest ${latency.longestMs.toFixed(0)} ms`,
    ],
    ['resident memory', memory.map(({ atS, mb }) => `${atS} s: ${mb} MB`).join(', ')],
    ['faults', listOf(inflicted)],
    ['kills', counted.kills],
  ]
  for (const [name, value] of rows) console.log(`${name.padEnd(44)} ${value}`)
  for (const example of examples) console.log(`  ${example}`)
}

function listOf(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return '0'
  return [...counts].map(([what, times]) => `${times} × ${what}`).join(', ')
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}
