import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, runToEnd, startChild } from './child.ts'
import type { Contestant } from './contestants/contestant.ts'
import { firstAnswer, freePort } from './first-answer.ts'
import { openIdle } from './idle.ts'
import { firstWarmUp, runLoad, warmUp } from './load/load.ts'
import type { LoadResult } from './load/load-generator.ts'
import { cpuNs, memory } from './measure.ts'
import type { Options } from './options.ts'
import type { Metrics } from './results.ts'
import {
  bodyBytes,
  idleConnections,
  type LoadScenario,
  type RateScenario,
  type Scenario,
  smallGet,
} from './scenarios.ts'
import type { UpstreamPorts } from './upstream-types.ts'
import { answers, type Target, verify } from './verify.ts'

/** What all sessions of a run share. */
export interface Surroundings {
  readonly options: Options
  readonly upstream: UpstreamPorts
  readonly token: string
  readonly caFile: string
  readonly programs: string
  /** A directory that is removed when the run ends. */
  readonly dir: string
}

/** Which listener of the upstream a contestant is started for. */
type UpstreamName = keyof UpstreamPorts

/** Which one a scenario is timed with. */
export function upstreamOf(scenario: Scenario): 'get' | 'getTls' | 'plain' {
  if (scenario.kind === 'load' && scenario.method === 'POST') return 'plain'
  return scenario.kind === 'load' && scenario.tls ? 'getTls' : 'get'
}

const START_TIMEOUT_MS = 10_000
const WARM_UP_MS = 200
const MB = 1e6

/** A running contestant; `child` is null when the load goes to the upstream itself. */
interface Running {
  readonly target: Target
  readonly port: number
  readonly child: Child | null
  readonly startMs: number
}

/** Starts the contestant, verifies it against the upstream with or without TLS, and stops it. Returns what is wrong, or null. */
export async function verifyContestant(
  contestant: Contestant,
  tls: boolean,
  around: Surroundings,
): Promise<string | null> {
  try {
    const wrong = await using(contestant, tls ? 'tls' : 'plain', around, ({ target }) => verify(target))
    if (wrong !== null || !tls || contestant.name === 'direct') return wrong
    return await using(contestant, 'untrusted', around, async ({ target }) =>
      (await answers(target)) ? 'it trusts an upstream whose CA it was not given' : null,
    )
  } catch (error) {
    return (error as Error).message
  }
}

/** Runs one scenario on a contestant that `withContestant` started. */
export type RunScenario = (scenario: Scenario) => Promise<Metrics | null>

/** Starts the contestant and hands over how to run scenarios on it; it is stopped when `use` is done. */
export function withContestant(
  contestant: Contestant,
  to: UpstreamName,
  around: Surroundings,
  use: (run: RunScenario) => Promise<void>,
): Promise<void> {
  return using(contestant, to, around, async (running) => {
    const { url } = running.target
    let warm = false
    const firstOfAll = async (scenario: LoadScenario) => {
      if (!warm) await firstWarmUp(url, small(scenario), around.options.warmUpRequests, around.dir)
      warm = true
    }
    await use(async (scenario) => {
      switch (scenario.kind) {
        case 'start-up':
          return startUp(contestant, around)
        case 'idle':
          return idle(running)
        case 'rate':
          // What is not compiled yet costs five times as much, and few requests come.
          await firstOfAll(smallGet)
          return atRate(running, scenario, around)
        case 'load': {
          await firstOfAll(scenario)
          await warmUp(url, scenario, WARM_UP_MS, around.dir)
          return underLoad(running, scenario, around)
        }
      }
    })
  })
}

async function using<T>(
  contestant: Contestant,
  to: UpstreamName,
  around: Surroundings,
  use: (running: Running) => Promise<T>,
  stateDir: string | null = null,
): Promise<T> {
  const running = await start(contestant, to, around, stateDir)
  try {
    return await use(running)
  } finally {
    await running.child?.stop()
  }
}

async function start(
  contestant: Contestant,
  to: UpstreamName,
  around: Surroundings,
  stateDir: string | null,
): Promise<Running> {
  const { upstream, token, caFile, programs } = around
  const tls = to !== 'plain' && to !== 'get'
  const port = await freePort()
  const launch = contestant.launch({
    port,
    upstream: { tls, port: upstream[to] },
    caFile,
    token,
    tokenUrl: `http://127.0.0.1:${upstream.plain}/token`,
    dir: mkdtempSync(join(around.dir, 'contestant-')),
    stateDir,
    programs,
  })
  if (launch === null) {
    const target: Target = tls
      ? { url: `https://127.0.0.1:${upstream[to]}`, token: null, ca: readFileSync(caFile, 'utf8') }
      : { url: `http://127.0.0.1:${upstream[to]}`, token: null }
    return { target, port: upstream[to], child: null, startMs: 0 }
  }
  const beganMs = performance.now()
  const child = startChild('proxy', launch.command, launch.args, launch.env)
  try {
    // Against the untrusted upstream no request succeeds, which is the point; listening is all there is to wait for.
    const answeredMs =
      to === 'untrusted' ? await listening(port, child) : await firstAnswer(port, child, START_TIMEOUT_MS)
    return { target: { url: `http://127.0.0.1:${port}`, token }, port, child, startMs: answeredMs - beganMs }
  } catch (error) {
    await child.stop()
    throw error
  }
}

async function listening(port: number, child: Child): Promise<number> {
  await firstAnswer(port, child, 1000).catch(() => {})
  return performance.now()
}

/** The first start fills the page cache and the token store; the second is timed. */
async function startUp(contestant: Contestant, around: Surroundings): Promise<Metrics | null> {
  if (contestant.name === 'direct') return null
  const stateDir = mkdtempSync(join(around.dir, 'state-'))
  await using(contestant, 'get', around, async () => {}, stateDir)
  return using(contestant, 'get', around, async ({ startMs }) => ({ startMs }), stateDir)
}

async function idle({ child, port }: Running): Promise<Metrics | null> {
  if (child === null) return null
  // The first connections set up what any later one shares.
  const first = await openIdle(port, 50)
  first.close()
  await sleep(300)
  const before = memory(child.pid)
  const connections = await openIdle(port, idleConnections)
  try {
    await sleep(300)
    const after = memory(child.pid)
    const closed = idleConnections - connections.open()
    if (closed > 0) throw new Error(`it closed ${closed} of ${idleConnections} idle connections at once`)
    return {
      rssMb: before.rss / MB,
      pssMb: before.pss / MB,
      anonymousMb: before.anonymous / MB,
      idleAddedMb: (after.rss - before.rss) / MB,
    }
  } finally {
    connections.close()
    await sleep(100)
  }
}

async function atRate(
  { child, port }: Running,
  scenario: RateScenario,
  around: Surroundings,
): Promise<Metrics> {
  const { seconds, ratePerS } = around.options
  const args = [port, scenario.path, ratePerS, seconds * scenario.lasts, scenario.connections].map(String)
  const program = join(around.programs, 'open-loop.mjs')
  const before = child === null ? 0 : cpuNs(child.pid)
  const result = JSON.parse(await runToEnd(process.execPath, [program, ...args])) as LoadResult
  const usedNs = child === null ? null : cpuNs(child.pid) - before
  return { ...latency(result), requestsPerS: result.requests / result.seconds, ...cpuShare(usedNs, result) }
}

async function underLoad(running: Running, scenario: LoadScenario, around: Surroundings): Promise<Metrics> {
  const { child, target } = running
  const seconds = around.options.seconds * scenario.lasts
  const before = child === null ? 0 : cpuNs(child.pid)
  const load = runLoad(target.url, scenario, seconds, around.dir)
  const inUse = scenario.shows === 'memory' ? memoryDuring(child, seconds) : null
  const result = await load
  const usedNs = child === null ? null : cpuNs(child.pid) - before
  if (scenario.shows === 'memory') return (await inUse) ?? {}
  const requestMb = bodyBytes.huge / MB
  return {
    ...latency(result),
    requestsPerS: result.requests / result.seconds,
    ...cpuShare(usedNs, result),
    ...(scenario.shows === 'bytes' ? throughput(usedNs, result, requestMb) : {}),
  }
}

/** Memory shortly before the load ends. */
async function memoryDuring(child: Child | null, seconds: number): Promise<Metrics | null> {
  if (child === null) return null
  await sleep(seconds * 900)
  const { rss, pss, anonymous } = memory(child.pid)
  return { rssMb: rss / MB, pssMb: pss / MB, anonymousMb: anonymous / MB }
}

function latency({ p50Ms, p99Ms }: LoadResult): Metrics {
  return { p50Ms, p99Ms }
}

function cpuShare(usedNs: number | null, { requests, seconds }: LoadResult): Metrics {
  if (usedNs === null) return {}
  return { cpuUsPerRequest: usedNs / 1e3 / requests, proxyBusy: usedNs / 1e9 / seconds }
}

function throughput(usedNs: number | null, { requests, seconds }: LoadResult, requestMb: number): Metrics {
  const mb = requests * requestMb
  return { mbPerS: mb / seconds, ...(usedNs === null ? {} : { cpuUsPerMb: usedNs / 1e3 / mb }) }
}

/** What warms a process up for a scenario: small messages with the same method. */
function small(scenario: LoadScenario): LoadScenario {
  return scenario.method === 'GET'
    ? { ...scenario, path: '/small', connections: 32 }
    : { ...scenario, sendBytes: bodyBytes.post, connections: 32 }
}
