import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contestant, upstreamUrl } from './contestant.ts'

/** A proxy from npm, run by the program of the same name in programs/. */
export function nodeProgram(packageName: string): Contestant {
  return {
    name: packageName,
    version: () => packageVersion(packageName),
    launch: (setting) => ({
      command: process.execPath,
      args: [join(setting.programs, `${programName(packageName)}.mjs`)],
      env: {
        BENCH_PORT: String(setting.port),
        BENCH_UPSTREAM_URL: upstreamUrl(setting),
        BENCH_TOKEN: setting.token,
        ...(setting.upstream.tls ? { BENCH_CA_FILE: setting.caFile } : {}),
      },
    }),
  }
}

/** `@fastify/http-proxy` is run by programs/fastify-http-proxy.ts. */
function programName(packageName: string): string {
  return packageName.replace('@', '').replace('/', '-')
}

function packageVersion(name: string): string | null {
  try {
    const text = readFileSync(join('node_modules', name, 'package.json'), 'utf8')
    return (JSON.parse(text) as { version: string }).version
  } catch {
    return null
  }
}
