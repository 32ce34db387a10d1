import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { sandboxFor } from '../sandbox/client.ts'
import { eventually, settingsFor } from '../scenarios/setup.ts'
import { echo, makeCalls } from '../support/load.ts'
import { startRecordedLoad } from '../support/load-record.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import { prometheusSkip, startPrometheus } from './prometheus.ts'

const PROMTOOL = spawnSync('promtool', ['--version']).status === 0
const files = 'helm/token-sidecar/files'

describe('alerts and dashboard', () => {
  it('ask only for metrics that a running sidecar has', async (test) => {
    const { sidecar } = await start(test)
    const { text } = await sidecar.ask('/metrics')
    // Names of samples: a histogram's bucket, sum and count, too.
    const known = new Set(text.split('\n').map((line) => /^(?:# TYPE )?(\w+)/.exec(line)?.[1] ?? ''))
    const expressions = [...rules().map(({ expr }) => expr), ...panels().map(({ expr }) => expr)]
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

  it('show something in every panel, and alarm nobody, when Prometheus scrapes a sidecar at work', {
    skip: prometheusSkip,
  }, async (test) => {
    const { sidecar, sandbox } = await start(test)
    const prometheus = await startPrometheus(test, sidecar.opsUrl, join(files, 'alerts.yaml'))
    await eventually('the first scrape', async () => (await prometheus.query('up == 1')).length === 1)
    startRecordedLoad(test, { urls: [sidecar.url], parallel: 2 })
    // A mint, and calls that are sent again, fall between two scrapes.
    await sidecar.ask('/rotate', { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    sandbox.foreignMint()
    for (const { title, expr } of panels()) {
      await eventually(`something in the panel ${title}: ${expr}`, async () => {
        const series = await prometheus.query(expr)
        return series.length > 0 && series.every(({ value: [, value] }) => value !== 'NaN')
      })
    }
    const evaluated = await prometheus.rules()
    assert.deepEqual(
      evaluated.map(({ name, health }) => [name, health]),
      rules().map(({ alert }) => [alert, 'ok']),
    )
    const firing = evaluated.filter(({ state }) => state === 'firing').map(({ name }) => name)
    // The one that has its cause here.
    assert.deepEqual(
      firing.filter((name) => name !== 'TokenSidecarForeignMints'),
      [],
    )
  })
})

async function start(test: TestContext) {
  const sandbox = await sandboxFor(test)
  const sidecar: Sidecar = await startSidecar(test, settingsFor(sandbox))
  await sidecar.ready()
  await makeCalls(sidecar.url, 1, echo)
  return { sandbox, sidecar }
}

function rules(): readonly { readonly alert: string; readonly expr: string }[] {
  return parse(readFileSync(join(files, 'alerts.yaml'), 'utf8')).groups[0].rules
}

/** Queries of the dashboard, with Grafana's variables as they are when all is chosen. */
function panels(): readonly { readonly title: string; readonly expr: string }[] {
  const dashboard = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8')) as {
    panels: readonly { title: string; targets: readonly { expr: string }[] }[]
  }
  return dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({
      title,
      expr: expr.replaceAll(/\$(namespace|pod)\b/g, '.*').replaceAll('$__rate_interval', '5s'),
    })),
  )
}
