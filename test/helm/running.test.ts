import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { sandboxFor } from '../sandbox/client.ts'
import { echo, makeCall } from '../support/load.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { chartsWith, find, helmSkip, helms, render } from './helm.ts'

describe('what the chart renders, started for real', () => {
  it('answers the kubelet’s probes and proxies a call with the environment it is given', {
    skip: helmSkip,
  }, async (test) => {
    const sandbox = await sandboxFor(test)
    const container = sidecarOf(test, helms.at(-1) as string, sandbox.url)
    const folder = tempDir()
    writeFileSync(join(folder, 'client-secret'), 'demo-secret\n')
    const env: Record<string, string> = {}
    for (const { name, value } of container.env) {
      // The machine's own in place of the pod's: a folder for the mount, free ports, and no API server.
      env[name] = value
        .replace('/run/secrets/token-sidecar/client', folder)
        .replace(/^(127\.0\.0\.1|0\.0\.0\.0):\d+$/, '$1:0')
        .replace(/^kubernetes:.*/, 'memory:')
    }
    const sidecar = await startSidecar(test, env)
    await sidecar.ready()
    for (const probe of ['startupProbe', 'livenessProbe'] as const) {
      const { path, port } = container[probe].httpGet
      assert.equal(
        container.ports.some(({ name }) => name === port),
        true,
      )
      assert.equal((await sidecar.ask(path)).status, 200, path)
    }
    assert.equal((await makeCall(sidecar.url, echo(1), false)).failure, null)
  })
})

interface Container {
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly ports: readonly { readonly name: string }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

function sidecarOf(test: TestContext, helm: string, upstream: string): Container {
  const charts = chartsWith(helm)
  test.after(() => charts.remove())
  const objects = render(helm, join(charts.folder, 'example-app'), [
    `token-sidecar.settings.UPSTREAM_URL=${upstream}`,
  ])
  return find(objects, 'Deployment')['spec'].template.spec.initContainers[0]
}
