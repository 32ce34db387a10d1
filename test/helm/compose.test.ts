import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import type { Config } from '../../config/config.ts'
import { loadConfig } from '../../config/load.ts'
import { createSandbox, createSidecar, type Sandbox, type Sidecar } from '../../proxy/index.ts'
import { runChild } from '../docs/run-child.ts'
import { freePort } from '../support/redis-server.ts'

const FLEET = 'helm/compose/compose.yaml'
const files = [FLEET, 'docs/examples/compose.yaml']

interface Service {
  readonly network_mode?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, unknown>>
  readonly healthcheck?: { readonly test: readonly string[]; readonly timeout: string }
  readonly ports?: readonly string[]
  readonly restart?: string
  readonly read_only?: boolean
  readonly build?: string
}

/** Each app and the sidecar whose network it joins. */
function pairsIn(
  path: string,
): { readonly app: Service; readonly name: string; readonly sidecar: Service }[] {
  const { services } = parse(readFileSync(path, 'utf8'), { merge: true }) as {
    services: Record<string, Service>
  }
  return Object.values(services).flatMap((app) => {
    if (app.network_mode === undefined) return []
    const name = app.network_mode.replace(/^service:/, '')
    const sidecar = services[name]
    assert.ok(sidecar, `${path} has no ${name}`)
    return [{ app, name, sidecar }]
  })
}

function configOf({ environment = {} }: Service): Config {
  return loadConfig({ env: environment, homeDir: '/', readFile: () => 'a-secret' }).config
}

for (const path of files) {
  describe(path, () => {
    it('lets the app join its sidecar’s network, so that deploying the app takes nothing from the sidecar', () => {
      const pairs = pairsIn(path)
      assert.ok(pairs.length > 0)
      for (const { app, sidecar } of pairs) {
        assert.equal(sidecar.network_mode, undefined)
        assert.equal(app.ports, undefined, 'a service that joins a network publishes nothing')
        assert.ok(configOf(sidecar).routes.length > 0)
        assert.ok(existsSync(resolve(dirname(path), String(sidecar.build), 'Dockerfile')))
      }
    })

    it('starts the app when its calls succeed, again with its sidecar, and each of them after a crash', () => {
      for (const { app, name, sidecar } of pairsIn(path)) {
        assert.deepEqual(app.depends_on?.[name], { condition: 'service_healthy', restart: true })
        assert.deepEqual([app.restart, sidecar.restart], ['unless-stopped', 'unless-stopped'])
        assert.deepEqual(sidecar.healthcheck?.test.slice(0, 4), [
          'CMD',
          '/nodejs/bin/node',
          '/app/main.js',
          'wait',
        ])
      }
    })

    it('publishes only ports that the sidecar opens beyond its loopback, and to this host alone', () => {
      for (const { sidecar } of pairsIn(path)) {
        const { opsListen } = configOf(sidecar)
        for (const port of sidecar.ports ?? []) {
          assert.equal(port, '127.0.0.1:9464:9464')
          assert.deepEqual(opsListen, { kind: 'tcp', host: '0.0.0.0', port: 9464 })
        }
      }
    })
  })
}

describe('the fleet of the compose file', () => {
  it('gives all sidecars one store, and a root that nothing writes to', () => {
    const pairs = pairsIn(FLEET)
    assert.ok(pairs.length > 1)
    assert.equal(new Set(pairs.map(({ name }) => name)).size, pairs.length)
    for (const { sidecar } of pairs) {
      assert.equal(sidecar.environment?.['TOKEN_STORE'], 'redis://redis:6379')
      assert.equal(sidecar.read_only, true)
    }
  })
})

describe('the health checks of the compose files', () => {
  let sandbox: Sandbox
  let sidecar: Sidecar
  before(async () => {
    sandbox = await createSandbox()
    sidecar = await createSidecar(sandbox.settings)
  })
  after(async () => {
    await sidecar.stop()
    await sandbox.stop()
  })

  for (const path of files) {
    it(`pass where a sidecar is ready, and else fail within their own time: ${path}`, async () => {
      for (const { healthcheck } of pairsIn(path).map((pair) => pair.sidecar)) {
        assert.ok(healthcheck)
        const ask = (address: string) =>
          runChild([process.execPath, 'dist/main.js', ...healthcheck.test.slice(3)], { OPS_LISTEN: address })
        const ready = await ask(new URL(sidecar.opsUrl).host)
        assert.equal(ready.status, 0, ready.stderr)
        const begun = performance.now()
        assert.equal((await ask(`127.0.0.1:${await freePort()}`)).status, 69)
        assert.ok(performance.now() - begun < Number.parseInt(healthcheck.timeout, 10) * 1000)
      }
    })
  }
})
