import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sandbox, SandboxOptions } from '../../sandbox/server.ts'
import { sandboxFor } from '../sandbox/client.ts'
import { testTls } from '../sandbox/tls-fixture.ts'
import { FakeKubernetes, NAME, NAMESPACE } from '../stores/fake-kubernetes.ts'
import { latencyReport, longestMs } from '../support/load-record.ts'
import { type ServiceAccount, serviceAccountSkip, withServiceAccount } from '../support/service-account.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import { agreement, askToRotate, assertFleet, loadOn, requestThat } from './fleet-setup.ts'
import {
  assertOneMintEachLife,
  eventually,
  HOLD_TIMEOUT_MS,
  mintTimes,
  settingsFor,
  tokenRequests,
} from './setup.ts'

/** An API server with a Secret, and the account that may use it. */
interface Cluster {
  readonly apiUrl: URL
  readonly account: ServiceAccount
  /** `TOKEN_STORE`. */
  readonly store: string
  /** Null for a real one, which nobody here can break. */
  readonly fake: FakeKubernetes | null
}

interface Fleet {
  readonly sandbox: Sandbox
  readonly cluster: Cluster
  readonly sidecars: readonly Sidecar[]
  /** One more replica. */
  start(): Promise<Sidecar>
}

/** `REPLICAS=16 MINUTES=2 LIFE_MS=5000` is the long variant of the first scenario. */
const replicas = Number(process.env['REPLICAS'] ?? 4)
const durationMs = Number(process.env['MINUTES'] ?? 0.2) * 60_000
const LIFE_MS = Number(process.env['LIFE_MS'] ?? 4_000)

const given = process.env['KUBECONFIG_TEST']
const servers = ['its stand-in', ...(given === undefined ? [] : ['a real API server'])]

for (const server of servers) {
  const open = server === 'its stand-in' ? standIn : realCluster
  describe(`a fleet that shares its token through a Secret of ${server}`, {
    skip: serviceAccountSkip,
    concurrency: 4,
  }, () => {
    it(`of ${replicas} mints once for each rotation and fails no call`, async (test) => {
      const sandbox = { tokenLifeMs: LIFE_MS, validTillSpelling: 'fraction' } as const
      const fleet = await startFleet(test, await open(test), { replicas, sandbox })
      assert.equal(tokenRequests(fleet.sandbox).length, 1, 'all started at once in front of an empty Secret')
      const load = loadOn(test, fleet.sidecars, 2 * replicas)
      await sleep(durationMs)
      await load.stop()
      const times = mintTimes(fleet.sandbox)
      test.diagnostic(latencyReport(load.outcomes, times))
      await assertFleet(test, fleet, [load], { minted: times.length })
      assertOneMintEachLife(fleet.sandbox, LIFE_MS)
      assert.ok(times.length >= Math.floor(durationMs / LIFE_MS), `${times.length} tokens were minted`)
      assert.ok(longestMs(load.outcomes) < HOLD_TIMEOUT_MS)
      await agreement(fleet.sandbox, fleet.sidecars)
    })

    it('needs no mint for a rolling restart of all', async (test) => {
      const fleet = await startFleet(test, await open(test))
      for (const sidecar of fleet.sidecars) {
        assert.equal(await sidecar.stop(), 0)
        const next = await fleet.start()
        const load = loadOn(test, [next], 2)
        await load.more(20)
        await assertFleet(test, fleet, [load], { minted: 1 })
      }
    })

    it('is in agreement again when its minter was killed while the answer was on the way', async (test) => {
      const fleet = await startFleet(test, await open(test))
      const [minter, ...others] = fleet.sidecars
      assert.ok(minter)
      const load = loadOn(test, others)
      fleet.sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 1_500, count: 1 })
      askToRotate(minter)
      await requestThat(fleet.sandbox, 2, ({ processedAt }) => processedAt !== null)
      await minter.kill()
      await requestThat(fleet.sandbox, 3, ({ processedAt }) => processedAt !== null)
      await agreement(fleet.sandbox, others)
      await assertFleet(test, fleet, [load], { minted: 3 })
    })
  })
}

describe('a fleet whose API server', { skip: serviceAccountSkip, concurrency: 4 }, () => {
  it('cannot be reached goes on with its living token, and says so', async (test) => {
    const fleet = await startFleet(test, await standIn(test))
    const load = loadOn(test, fleet.sidecars)
    fleet.cluster.fake?.fail({ kind: 'reset' })
    fleet.cluster.fake?.breakWatches('reset')
    await Promise.all(fleet.sidecars.map((sidecar) => sidecar.logged('store_unreachable')))
    await load.more(100)
    fleet.cluster.fake?.heal()
    await eventually('all find the store again', async () => {
      const states = await Promise.all(fleet.sidecars.map((sidecar) => sidecar.status()))
      return states.every(({ credentials }) => credentials[0]?.store.healthy === true)
    })
    await assertFleet(test, fleet, [load], { minted: 1 })
  })

  it('lost the Secret’s data gets the token back from those who hold it', async (test) => {
    const fleet = await startFleet(test, await standIn(test))
    const load = loadOn(test, fleet.sidecars)
    fleet.cluster.fake?.delete()
    fleet.cluster.fake?.create()
    await eventually('the token is back', () => Object.keys(fleet.cluster.fake?.entries ?? {}).length > 0)
    await load.more(100)
    await assertFleet(test, fleet, [load], { minted: 1 })
  })

  it('forgot what changed, or ends watches, is asked again', async (test) => {
    const fleet = await startFleet(test, await standIn(test))
    const load = loadOn(test, fleet.sidecars)
    for (const how of ['end', 'gone', 'reset'] as const) {
      fleet.cluster.fake?.compact()
      fleet.cluster.fake?.breakWatches(how)
      await load.more(20)
    }
    await eventually('all watch again', () => fleet.cluster.fake?.watches === fleet.sidecars.length)
    askToRotate(fleet.sidecars[0] as Sidecar)
    await requestThat(fleet.sandbox, 2, ({ processedAt }) => processedAt !== null)
    await agreement(fleet.sandbox, fleet.sidecars)
    await assertFleet(test, fleet, [load], { minted: 2 })
  })
})

async function startFleet(
  test: TestContext,
  cluster: Cluster,
  options: { readonly replicas?: number; readonly sandbox?: SandboxOptions } = {},
): Promise<Fleet> {
  const sandbox = await sandboxFor(test, options.sandbox)
  const env = settingsFor(sandbox, {
    TOKEN_STORE: cluster.store,
    KUBERNETES_SERVICE_HOST: cluster.apiUrl.hostname,
    KUBERNETES_SERVICE_PORT: cluster.apiUrl.port,
  })
  const prefix = withServiceAccount(cluster.account)
  const start = async () => {
    const sidecar = await startSidecar(test, env, prefix)
    await sidecar.ready()
    return sidecar
  }
  const sidecars = await Promise.all(Array.from({ length: options.replicas ?? 4 }, start))
  return { sandbox, cluster, sidecars, start }
}

async function standIn(test: TestContext): Promise<Cluster> {
  const fake = await FakeKubernetes.start(test, { tls: testTls })
  const account = { 'ca.crt': testTls.cert, token: 'first-token', namespace: NAMESPACE }
  // Namespace and name are what a pod finds by itself.
  assert.equal(NAME, 'token-sidecar')
  return { apiUrl: fake.url, account, store: 'kubernetes:', fake }
}

async function realCluster(): Promise<Cluster> {
  const read = (path: string) => readFileSync(path, 'utf8')
  const file = JSON.parse(read(given as string)) as Record<string, string>
  // Not the Secret of the contract suite, which empties its own.
  const { apiUrl = '', caFile = '', fleetTokenFile = '', namespace = '', fleetSecret = '' } = file
  const account = { 'ca.crt': read(caFile), token: read(fleetTokenFile), namespace }
  return { apiUrl: new URL(apiUrl), account, store: `kubernetes:${namespace}/${fleetSecret}`, fake: null }
}
