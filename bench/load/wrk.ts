import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installedVersion } from '../contestants/installed.ts'
import type { LoadScenario } from '../scenarios.ts'
import type { LoadGenerator, LoadResult } from './load-generator.ts'

const version = installedVersion('wrk', ['-v'], /wrk (\S+)/)

/** wrk with one thread; null when it is not installed. */
export const wrk: LoadGenerator | null =
  version === null
    ? null
    : {
        name: `wrk ${version}`,
        command(url, scenario, seconds, dir) {
          const script = join(dir, 'load.lua')
          writeFileSync(script, luaScript(scenario))
          const args = ['-t1', `-c${scenario.connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script]
          return { command: 'wrk', args: [...args, new URL(scenario.path, url).href] }
        },
        parse: parseWrk,
      }

/** Reads the line that the script prints. Throws when a request failed. */
export function parseWrk(output: string): LoadResult {
  const line = /^RESULT (.+)$/m.exec(output)?.[1]
  if (line === undefined) throw new Error(`wrk printed no result: ${output}`)
  const { requests, durationUs, p50Us, p99Us, failed } = JSON.parse(line) as Record<string, number>
  if (requests === undefined || durationUs === undefined || p50Us === undefined || p99Us === undefined)
    throw new Error(`wrk printed half a result: ${line}`)
  if (failed !== 0) throw new Error(`${failed} of ${requests} requests failed`)
  if (requests === 0) throw new Error('no request was answered')
  return { requests, seconds: durationUs / 1e6, p50Ms: p50Us / 1e3, p99Ms: p99Us / 1e3 }
}

function luaScript({ method, sendBytes }: LoadScenario): string {
  const body = sendBytes === 0 ? '' : `wrk.body = string.rep("b", ${sendBytes})\n`
  return `wrk.method = "${method}"
wrk.headers["content-type"] = "application/json"
${body}
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"failed":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
`
}
