import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'

/** The header that is injected. */
export const tokenHeader = 'x-cleartax-auth-token'

/** What every program here is told by its environment. */
export const programSetting = {
  port: Number(process.env['BENCH_PORT']),
  upstreamUrl: process.env['BENCH_UPSTREAM_URL'] ?? '',
  token: process.env['BENCH_TOKEN'] ?? '',
  /** The CA that the upstream is verified with; undefined for an upstream without TLS. */
  ca:
    process.env['BENCH_CA_FILE'] === undefined
      ? undefined
      : readFileSync(process.env['BENCH_CA_FILE'], 'utf8'),
}

/** A keep-alive agent with room for as many connections as the load has. */
export function keepAliveAgent(): Agent {
  const { ca } = programSetting
  return ca === undefined
    ? new Agent({ keepAlive: true, maxFreeSockets: 512 })
    : new TlsAgent({ keepAlive: true, maxFreeSockets: 512, ca })
}
