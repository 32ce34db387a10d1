import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MintEvent } from '../../sandbox/mint-log.ts'
import type { Sandbox, SandboxOptions } from '../../sandbox/server.ts'
import { type Answer, sandboxFor } from '../sandbox/client.ts'
import { failuresOf, longestMs, type RecordedLoad, startRecordedLoad } from '../support/load-record.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { type LogLine, type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import { assertOneAtATime, eventually, settingsFor, tokenRequests } from './setup.ts'

const PATIENCE_MS = 20_000

export interface FleetOptions {
  readonly replicas?: number
  readonly sandbox?: SandboxOptions
  readonly env?: Readonly<Record<string, string>>
}

/** Replicas of the built program that share one secret through one Redis. */
export interface Fleet {
  readonly sandbox: Sandbox
  readonly redis: RedisServer
  readonly settings: Readonly<Record<string, string>>
  readonly sidecars: readonly Sidecar[]
}

/** Starts all replicas at once in front of an empty store, and waits until all are ready. */
export async function startFleet(test: TestContext, options: FleetOptions = {}): Promise<Fleet> {
  const sandbox = await sandboxFor(test, options.sandbox)
  const redis = await startRedisServer(test)
  const settings = settingsFor(sandbox, { TOKEN_STORE: redis.url(), ...options.env })
  const sidecars = await startReplicas(test, settings, options.replicas ?? 4)
  return { sandbox, redis, settings, sidecars }
}

/** What all of them logged, on one line each, for a failure that does not explain itself. */
export function logsOf(sidecars: readonly Sidecar[]): string {
  return sidecars.map(({ log }) => log.map(told).join('\n')).join('\n\n')
}

function told({ time, level: _, event, ...fields }: LogLine): string {
  return `${time} ${event} ${JSON.stringify(fields)}`
}

export async function startReplicas(
  test: TestContext,
  settings: Readonly<Record<string, string>>,
  count: number,
): Promise<Sidecar[]> {
  const sidecars = await Promise.all(Array.from({ length: count }, () => startSidecar(test, settings)))
  await Promise.all(sidecars.map((sidecar) => sidecar.ready()))
  return sidecars
}

export function loadOn(test: TestContext, sidecars: readonly Sidecar[], parallel = 8): RecordedLoad {
  return startRecordedLoad(test, { urls: sidecars.map(({ url }) => url), parallel })
}

/** How long it took until all hold the token that is accepted now, ms. Fails after 20 s. */
export async function agreement(sandbox: Sandbox, sidecars: readonly Sidecar[], client = 0): Promise<number> {
  const began = performance.now()
  await eventually('agreement on the living token', async () => {
    const states = await Promise.all(sidecars.map((sidecar) => sidecar.status()))
    const live = sandbox.issuer.clients()[client]?.liveFingerprint ?? 'none'
    return states.every(({ credentials }) => credentials[0]?.fingerprint === live)
  })
  return performance.now() - began
}

/** The request to the token API that is the nth, once `reached` holds for it. Fails after 20 s, with all that the token API saw. */
export async function requestThat(
  sandbox: Sandbox,
  nth: number,
  reached: (event: MintEvent) => boolean,
): Promise<MintEvent> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const requests = tokenRequests(sandbox)
    const event = requests[nth - 1]
    if (event !== undefined && reached(event)) return event
    const seen = `${JSON.stringify(requests)} at ${Date.now()}`
    assert.ok(performance.now() < until, `token request ${nth} has not come so far in 20 s: ${seen}`)
    await sleep(1)
  }
}

/** A person asks that replica for a rotation. */
export function rotateAt(sidecar: Sidecar): Promise<Answer> {
  const headers = { 'x-sidecar-request': '1' }
  return sidecar.ask('/rotate', { method: 'POST', headers })
}

/** The same, when it may never be answered. */
export function askToRotate(sidecar: Sidecar): void {
  rotateAt(sidecar).catch(() => {})
}

/** A way to Redis that can keep back answers. */
export interface Wire {
  readonly url: string
  /** Keeps back all answers from the one to the next announcement on. Resolves when that one is kept back; rejects after 20 s. */
  hold(): Promise<void>
  /** Passes on what was kept back. */
  release(): void
}

/** Stops a replica exactly between announcing a rotation and sending its request: it waits for the store to say yes. */
export async function wireTo(test: TestContext, redis: RedisServer): Promise<Wire> {
  const sockets = new Set<Socket>()
  let kept: (() => void)[] | null = null
  let announced = false
  let resolveHeld: (() => void) | null = null
  const server = createServer((client) => {
    const upstream = connect(redis.port, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => to.destroy())
    }
    client.on('data', (bytes) => {
      announced ||= resolveHeld !== null && bytes.includes('"announced":true}}')
      upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      if (announced && kept === null) {
        kept = []
        resolveHeld?.()
      }
      if (kept === null) client.write(bytes)
      else kept.push(() => client.write(bytes))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold() {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no announcement in 20 s')), PATIENCE_MS)
        resolveHeld = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    },
    release() {
      for (const pass of kept ?? []) pass()
      kept = null
      announced = false
      resolveHeld = null
    },
  }
}

/** What the store holds for the fleet's secret. */
export function stored(redis: RedisServer): {
  generation: number
  lease: { announced: boolean; holder: string } | null
} {
  const key = redis.cli('KEYS', 'token-sidecar:*')
  const text = key === '' ? '' : redis.cli('GET', key)
  return text === '' ? { generation: 0, lease: null } : JSON.parse(text)
}

export interface Verdict {
  readonly minted: number
  /** Requests to the token API that minted nothing. */
  readonly refused?: number
}

/** No call failed, so many tokens were minted, one request at a time. Reports what it found. */
export async function assertFleet(
  test: TestContext,
  { sandbox }: Pick<Fleet, 'sandbox'>,
  loads: readonly RecordedLoad[],
  { minted, refused = 0 }: Verdict,
): Promise<void> {
  await Promise.all(loads.map((load) => load.stop()))
  const outcomes = loads.flatMap((load) => load.outcomes)
  const { rejected } = sandbox.gate.counters
  test.diagnostic(
    `${outcomes.length} calls, longest ${longestMs(outcomes).toFixed(0)} ms, failed ${JSON.stringify(failuresOf(outcomes))}; ` +
      `${tokenRequests(sandbox).length} token requests; rejected upstream: revoked ${rejected.revoked}, expired ${rejected.expired}`,
  )
  assert.ok(outcomes.length > 0)
  assert.deepEqual(failuresOf(outcomes), {})
  const requests = tokenRequests(sandbox)
  const count = requests.filter(({ outcome }) => outcome === 'minted').length
  assert.deepEqual({ minted: count, refused: requests.length - count }, { minted, refused })
  assertOneAtATime(sandbox)
}
