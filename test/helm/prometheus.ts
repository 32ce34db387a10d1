import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { send } from '../sandbox/client.ts'
import { freePort } from '../support/redis-server.ts'
import type { Teardown } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Why tests that need a Prometheus server are left out here; false when there is one. */
export const prometheusSkip: string | false =
  spawnSync('prometheus', ['--version']).status === 0
    ? false
    : 'prometheus is not installed (Debian package prometheus)'

/** One series of an answer. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

export interface AlertingRule {
  readonly name: string
  readonly state: 'inactive' | 'pending' | 'firing'
  readonly health: 'ok' | 'err' | 'unknown'
  readonly lastError?: string
}

/** A real Prometheus server. */
export interface Prometheus {
  query(expression: string): Promise<Series[]>
  rules(): Promise<AlertingRule[]>
}

/** Starts a server on loopback that scrapes each second, as the operator has it do: with the labels of namespace and pod. */
export async function startPrometheus(
  teardown: Teardown,
  opsUrl: string,
  rulesFile: string,
): Promise<Prometheus> {
  const folder = tempDir()
  const port = await freePort()
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [resolve(rulesFile)],
    scrape_configs: [
      {
        job_name: 'token-sidecar',
        static_configs: [
          {
            targets: [new URL(opsUrl).host],
            labels: { namespace: 'shops', pod: 'shop-1', container: 'token-sidecar' },
          },
        ],
      },
    ],
  }
  const file = join(folder, 'prometheus.yml')
  writeFileSync(file, stringify(config))
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`]
  const child = spawn('prometheus', [...args, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' })
  const ended = new Promise((ends) => child.once('close', ends))
  teardown.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const ask = async (path: string) => (await send(`http://127.0.0.1:${port}${path}`)).json().data
  const until = performance.now() + 20_000
  for (;;) {
    const ready = await send(`http://127.0.0.1:${port}/-/ready`).catch(() => null)
    if (ready?.status === 200) break
    if (performance.now() > until || child.exitCode !== null) throw new Error('prometheus does not start')
    await sleep(50)
  }
  return {
    query: async (expression) => (await ask(`/api/v1/query?query=${encodeURIComponent(expression)}`)).result,
    rules: async () =>
      ((await ask('/api/v1/rules')).groups as { rules: AlertingRule[] }[]).flatMap(({ rules }) => rules),
  }
}
