import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { sandboxFor } from '../sandbox/client.ts'
import { echo, makeCall } from '../support/load.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { chartsWith, find, helmSkip, helms, render } from './helm.ts'

const PROMTOOL = spawnSync('promtool', ['--version']).status === 0
const files = 'helm/token-sidecar/files'

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

describe('alerts and dashboard', () => {
  it('ask only for metrics that a running sidecar has', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, {
      CLIENT_SECRET: 'demo-secret',
      UPSTREAM_URL: sandbox.url,
      TOKEN_URL: sandbox.tokenUrl,
    })
    await sidecar.ready()
    await makeCall(sidecar.url, echo(1), false)
    const known = await metricNames(sidecar)
    const expressions = [...alertExpressions(), ...panelExpressions()]
    assert.ok(expressions.length > 20)
    for (const expression of expressions) {
      for (const [name] of expression.matchAll(/\b(?:token_sidecar|process|nodejs)_\w+/g)) {
        assert.ok(known.has(name), `${name} in ${expression}`)
      }
    }
  })

  it('fire for their cause and stay quiet otherwise', {
    skip: PROMTOOL ? false : 'promtool is not installed',
  }, () => {
    execFileSync('promtool', ['check', 'rules', 'alerts.yaml'], { cwd: files, stdio: 'pipe' })
    execFileSync('promtool', ['test', 'rules', 'alerts.test.yaml'], { cwd: files, stdio: 'pipe' })
  })

  it('are tested alert by alert', () => {
    const tested = readFileSync(join(files, 'alerts.test.yaml'), 'utf8')
    for (const { alert } of rules())
      assert.match(tested, new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`), alert)
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

function rules(): readonly { readonly alert: string; readonly expr: string }[] {
  return parse(readFileSync(join(files, 'alerts.yaml'), 'utf8')).groups[0].rules
}

function alertExpressions(): string[] {
  return rules().map(({ expr }) => expr)
}

function panelExpressions(): string[] {
  const { panels } = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8')) as {
    panels: readonly { targets: readonly { expr: string }[] }[]
  }
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
}

/** Names of samples: a histogram's bucket, sum and count, too. */
async function metricNames(sidecar: Sidecar): Promise<Set<string>> {
  const { text } = await sidecar.ask('/metrics')
  const names = new Set(text.split('\n').map((line) => /^(?:# TYPE )?(\w+)/.exec(line)?.[1] ?? ''))
  return names
}
