import { type RequestOptions, request } from 'node:http'
import { ConfigError } from '../../config/config-error.ts'
import { SettingsReader } from '../../config/settings-reader.ts'
import { formatAddress, type ListenAddress } from '../lib/address.ts'
import { ExitError } from '../lib/errors.ts'
import type { Edge } from './edge.ts'

/** Asks the running sidecar whose `OPS_LISTEN` is in the environment. */
export interface OpsClient {
  readonly address: string
  /** Rejects with `ExitError` `unavailable` when nothing answers there. */
  ask(method: 'GET' | 'POST', path: string, signal: AbortSignal): Promise<OpsAnswer>
}

export interface OpsAnswer {
  readonly status: number
  /** The parsed body; null when it is not JSON. */
  readonly json: unknown
}

/** Throws `ConfigError` when `OPS_LISTEN` cannot be read; no other setting is needed. */
export function opsClient(edge: Edge): OpsClient {
  const reader = new SettingsReader(edge.env, () => '')
  const address = reader.value('OPS_LISTEN')
  const problems = reader.problems()
  if (problems.length > 0) throw new ConfigError(problems, [])
  const shown = formatAddress(address)
  return {
    address: shown,
    async ask(method, path, signal) {
      try {
        return await send({ ...target(address), method, path, signal })
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? 'no answer'
        const hint = 'is it running, and is OPS_LISTEN the same here as for it?'
        throw new ExitError(
          'unavailable',
          `no sidecar answers at ${shown} (OPS_LISTEN): ${code}\n  → ${hint}`,
          error,
        )
      }
    },
  }
}

/** A listener on every address is reached over loopback. */
function target(address: ListenAddress): RequestOptions {
  if (address.kind === 'unix') return { socketPath: address.path, headers: { host: 'localhost' } }
  const everywhere = address.host === '0.0.0.0' || address.host === '::'
  return { host: everywhere ? '127.0.0.1' : address.host, port: address.port }
}

function send(options: RequestOptions): Promise<OpsAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...options,
      agent: false,
      headers: { ...options.headers, 'x-sidecar-request': '1' },
    })
    outgoing.once('error', reject)
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, json: parsed(Buffer.concat(chunks).toString('utf8')) })
      })
    })
    outgoing.end()
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
