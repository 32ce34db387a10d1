import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { LoadGenerator, LoadResult } from './load-generator.ts'

/** autocannon, where wrk is not installed. It costs about as much as a contestant does, so it may be what a fast one waits for. */
export const autocannon: LoadGenerator = {
  name: 'autocannon',
  command(url, { connections, method, sendBytes, path }, seconds, dir) {
    const program = createRequire(import.meta.url).resolve('autocannon/autocannon.js')
    const args = [program, '-j', '-c', String(connections), '-d', String(seconds), '-m', method]
    if (sendBytes > 0) {
      const bodyFile = join(dir, 'body')
      writeFileSync(bodyFile, 'b'.repeat(sendBytes))
      args.push('-i', bodyFile)
    }
    return { command: process.execPath, args: [...args, new URL(path, url).href] }
  },
  parse: parseAutocannon,
}

/** Reads autocannon's JSON. Throws when a request failed. */
export function parseAutocannon(output: string): LoadResult {
  const result = JSON.parse(output) as {
    duration: number
    errors: number
    timeouts: number
    non2xx: number
    requests: { total: number }
    latency: { p50: number; p99: number }
  }
  const { duration, requests, latency } = result
  const failed = result.errors + result.timeouts + result.non2xx
  if (failed > 0) throw new Error(`${failed} of ${requests.total} requests failed`)
  if (requests.total === 0) throw new Error('no request was answered')
  return { requests: requests.total, seconds: duration, p50Ms: latency.p50, p99Ms: latency.p99 }
}
