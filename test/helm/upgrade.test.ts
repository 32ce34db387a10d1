import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { chartsWith, helmSkip, helms, type KubernetesObject } from './helm.ts'
import { HelmApiServer } from './helm-api-server.ts'

const run = promisify(execFile)
const FLEET_SECRET = '/api/v1/namespaces/shops/secrets/shop-token-sidecar'
const SEALED = Buffer.from('what the replicas share').toString('base64')

for (const helm of helms.length > 0 ? helms : ['helm']) {
  describe(`a release, installed and upgraded by ${helm}`, { skip: helmSkip }, () => {
    it('keeps the token in its Secret, which no upgrade, rollback or removal names the data of', async (test) => {
      const { api, go } = await prepare(test, helm)
      await go('upgrade', '--install', 'shop', 'CHART')
      const made = api.objects.get(FLEET_SECRET)
      assert.ok(made && made['data'] === undefined)
      // As the sidecars do.
      api.objects.set(FLEET_SECRET, { ...made, data: { entry: SEALED } } as KubernetesObject)

      // Other labels, so that the Secret itself is changed.
      const renamed = ['--set', 'nameOverride=renamed', '--set', 'fullnameOverride=shop-token-sidecar']
      await go('upgrade', 'shop', 'CHART', ...renamed)
      assert.equal(api.objects.get(FLEET_SECRET)?.metadata.labels?.['app.kubernetes.io/name'], 'renamed')
      await go('rollback', 'shop', '1')
      assert.deepEqual(api.objects.get(FLEET_SECRET)?.['data'], { entry: SEALED })
      await go('uninstall', 'shop')
      assert.deepEqual(api.objects.get(FLEET_SECRET)?.['data'], { entry: SEALED })
      // And is taken over by the release when it comes back.
      await go('upgrade', '--install', 'shop', 'CHART')
      assert.deepEqual(api.objects.get(FLEET_SECRET)?.['data'], { entry: SEALED })
      for (const { path, body } of api.changes.filter(({ path }) => path === FLEET_SECRET)) {
        assert.ok(!('data' in body) && !('stringData' in body), path)
      }
    })

    it('has the client secret nowhere in its history when it exists beforehand', async (test) => {
      const { api, go } = await prepare(test, helm)
      await go('upgrade', '--install', 'shop', 'CHART')
      assert.doesNotMatch(history(api), /stringData|s3cret/)
      await go('upgrade', '--install', 'other', 'CHART', '--set', 'clientSecret.value=s3cret')
      assert.match(history(api), /s3cret/, 'which is what the notes warn of')
    })

    it('tells what to do next, and warns', async (test) => {
      const { go } = await prepare(test, helm)
      const first = await go('upgrade', '--install', 'shop', 'CHART')
      assert.match(first, /helm test shop --namespace shops/)
      assert.match(first, /store\.kubernetes\.secretName=shop-token-sidecar/)
      assert.doesNotMatch(first, /WARNING/)
      assert.match(await go('upgrade', 'shop', 'CHART', '--set', 'store.kind=memory'), /WARNING: store\.kind/)
    })
  })
}

async function prepare(test: TestContext, helm: string) {
  const charts = chartsWith(helm)
  test.after(() => charts.remove())
  const api = await HelmApiServer.start(test)
  const go = async (...args: string[]): Promise<string> => {
    const words = args.map((word) => (word === 'CHART' ? join(charts.folder, 'token-sidecar') : word))
    // The stand-in has no schemas of what it keeps.
    const unchecked = words[0] === 'upgrade' ? ['--disable-openapi-validation'] : []
    const { stdout } = await run(helm, [...words, ...unchecked, '--namespace', 'shops'], {
      timeout: 60_000,
      env: { PATH: process.env['PATH'], HOME: charts.folder, KUBECONFIG: api.kubeconfig },
    })
    return stdout
  }
  return { api, go }
}

/** What Helm keeps of all releases: manifests, values and notes. */
function history({ objects }: HelmApiServer): string {
  const releases = [...objects.values()].filter(({ metadata }) =>
    metadata.name.startsWith('sh.helm.release.'),
  )
  assert.ok(releases.length > 0)
  return releases
    .map(({ data }) => Buffer.from(Buffer.from(data.release, 'base64').toString(), 'base64'))
    .map((packed) => gunzipSync(packed).toString())
    .join('\n')
}
