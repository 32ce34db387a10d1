import { readFileSync } from 'node:fs'
import { after, it } from 'node:test'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { KubernetesMedium } from '../../proxy/stores/kubernetes.ts'
import { type KubernetesAccess, KubernetesApi } from '../../proxy/stores/kubernetes-api.ts'
import { testTls } from '../sandbox/tls-fixture.ts'
import { harnessOf, tokenStoreContract } from './contract.ts'
import { FakeKubernetes, NAME, NAMESPACE } from './fake-kubernetes.ts'

interface Place {
  readonly access: KubernetesAccess
  readonly namespace: string
  readonly name: string
}

for (const tls of [undefined, testTls]) {
  const fake = await FakeKubernetes.start({ after }, tls === undefined ? {} : { tls })
  const access = { apiUrl: fake.url, ca: tls?.cert, readToken: async () => 'first-token' }
  contractOn(`kubernetes, ${fake.url.protocol}`, { access, namespace: NAMESPACE, name: NAME }, async () =>
    fake.create(),
  )
}

const given = process.env['KUBECONFIG_TEST']
if (given === undefined) {
  const skip = 'KUBECONFIG_TEST is not set (scripts/kube-cluster.sh sets it)'
  it('a token store (kubernetes, real API server)', { skip }, () => {})
} else {
  const file = JSON.parse(readFileSync(given, 'utf8')) as Record<string, string>
  const { apiUrl = '', caFile, tokenFile = '', namespace = '', secret = '' } = file
  const access = {
    apiUrl: new URL(apiUrl),
    ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
    readToken: async () => readFileSync(tokenFile, 'utf8'),
  }
  contractOn('kubernetes, real API server', { access, namespace, name: secret }, async () => {
    const api = new KubernetesApi(access, systemClock)
    const path = `/api/v1/namespaces/${namespace}/secrets/${secret}`
    await api.ask({ method: 'PATCH', path, body: { data: null }, signal: AbortSignal.timeout(10_000) })
    api.close()
  })
}

function contractOn(title: string, place: Place, empty: () => Promise<void>): void {
  tokenStoreContract(title, async () => {
    await empty()
    const parts = { ...place, clock: systemClock, random: Math.random, log: silentLog }
    return harnessOf(
      () => new KubernetesMedium(parts),
      async () => {},
    )
  })
}
