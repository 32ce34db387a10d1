import { randomUUID } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Config, CredentialConfig } from '../../config/config.ts'
import { systemClock } from '../lib/clock.ts'
import { ExitError } from '../lib/errors.ts'
import { silentLog } from '../lib/log.ts'
import { tlsOptions } from '../lib/tls.ts'
import { openMedium } from '../stores/open.ts'
import { createSealer } from '../stores/seal.ts'
import { EntryTokenStore } from '../stores/token-store.ts'
import { configurationOf } from './configuration.ts'
import type { Edge } from './edge.ts'
import { readOptions } from './options.ts'

const TIMEOUT_MS = 5_000

/** One thing that was looked at. */
interface Finding {
  readonly ok: boolean
  readonly text: string
}

/**
 * Validates the configuration, then reaches the token store and every host the sidecar will talk to. It never mints: that
 * would revoke the token in use. `--config-only` stops before the network.
 */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { 'config-only': configOnly } = readOptions(args, {
    'config-only': { type: 'boolean', default: false },
  })
  const { config, warnings } = configurationOf(edge)
  for (const { variable, message } of warnings) edge.out(`warning  ${variable} ${message}\n`)
  edge.out(
    `ok       configuration: ${config.routes.length} route(s), ${config.credentials.length} credential(s)\n`,
  )
  if (configOnly) return
  let failed = 0
  for (const finding of await findings(config)) {
    edge.out(`${finding.ok ? 'ok      ' : 'FAILED  '} ${finding.text}\n`)
    if (!finding.ok) failed++
  }
  if (failed > 0) throw new ExitError('unavailable', `${failed} of the checks failed`)
}

async function findings(config: Config): Promise<Finding[]> {
  const upstreams = config.routes.map(({ upstream }) => upstream)
  const tokenApis = config.credentials.map(({ tokenUrl }) => tokenUrl)
  const hosts = new Map([...upstreams, ...tokenApis].map((url) => [url.origin, url]))
  return [
    ...(await Promise.all(config.credentials.map((credential) => checkStore(config, credential)))),
    ...(await Promise.all([...hosts.values()].map((url) => checkHost(url, config)))),
  ]
}

async function checkStore(config: Config, credential: CredentialConfig): Promise<Finding> {
  const what = `token store ${config.store.kind} for credential ${credential.name}`
  const medium = await openMedium(config.store, {
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    id: randomUUID(),
    readFile: (path) => readFile(path, 'utf8'),
  })
  try {
    const sealer = createSealer(credential.secret, credential.tokenUrl)
    const store = new EntryTokenStore(medium, sealer, systemClock, randomUUID())
    const { token } = await store.read(AbortSignal.timeout(TIMEOUT_MS))
    // Touches the entry without changing it: tells whether it could be written.
    await medium.update(sealer.entryKey, () => null, AbortSignal.timeout(TIMEOUT_MS))
    return {
      ok: true,
      text: `${what}: ${token === null ? 'holds no token yet' : `holds generation ${token.generation}`}`,
    }
  } catch (error) {
    return { ok: false, text: `${what}: ${codeOf(error)}` }
  } finally {
    await medium.close()
  }
}

async function checkHost(url: URL, config: Config): Promise<Finding> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  try {
    const { address } = await lookup(host)
    const socket =
      url.protocol === 'https:'
        ? connectTls({ host, port, servername: host, ...tlsOptions(config.relay.upstreamTls) })
        : connectTcp({ host, port })
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', resolve)
        socket.once('error', reject)
        socket.setTimeout(TIMEOUT_MS, () =>
          reject(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
        )
      })
    } finally {
      socket.destroy()
    }
    return { ok: true, text: `${url.origin} is reached at ${address}` }
  } catch (error) {
    return { ok: false, text: `${url.origin} is not reached: ${codeOf(error)}` }
  }
}

function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? code : String(name)
}
