import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Contestant, upstreamUrl } from './contestant.ts'

/** The product as shipped: the built program with its defaults. Only addresses, the CA and the store are set. */
export const tokenSidecar: Contestant = {
  name: 'token-sidecar',
  version: () => (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version,
  launch: (setting) => ({
    command: process.execPath,
    args: [resolve('dist/main.js')],
    env: {
      CLIENT_SECRET: 'bench-secret',
      UPSTREAM_URL: upstreamUrl(setting),
      TOKEN_URL: setting.tokenUrl,
      TOKEN_STORE: setting.stateDir === null ? 'memory:' : `file:${setting.stateDir}/tokens.json`,
      LISTEN: `127.0.0.1:${setting.port}`,
      OPS_LISTEN: '127.0.0.1:0',
      ...(setting.upstream.tls ? { UPSTREAM_CA_FILE: setting.caFile } : {}),
    },
  }),
}
