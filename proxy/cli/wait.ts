import { duration } from '../../config/parsers.ts'
import { systemClock } from '../lib/clock.ts'
import { ExitError } from '../lib/errors.ts'
import type { Edge } from './edge.ts'
import { opsClient } from './ops-client.ts'
import { readOptions } from './options.ts'

const POLL_MS = 200

/** Blocks until the running sidecar is ready, at most `--timeout` (60s). For start scripts: `token-sidecar wait && ./app`. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { timeout } = readOptions(args, 'wait')
  const limitMs = parseTimeout(timeout)
  const client = opsClient(edge)
  const until = systemClock.monotonic() + limitMs
  let last = `no sidecar answers at ${client.address}`
  let answers = false
  while (!edge.stopped.aborted) {
    const leftMs = until - systemClock.monotonic()
    if (leftMs <= 0) {
      // Somebody answers and is not ready: what to do depends on why.
      const hint = answers ? '\n  → token-sidecar status says what to do' : ''
      throw new ExitError('unavailable', `not ready within ${timeout}: ${last}${hint}`)
    }
    try {
      const answer = await client.ask('GET', '/readyz', AbortSignal.timeout(Math.ceil(leftMs)))
      if (answer.status === 200) return
      answers = true
      last = String((answer.json as { reason?: unknown } | null)?.reason ?? `status ${answer.status}`)
    } catch (error) {
      if (!(error instanceof ExitError)) throw error
      // A question cut off by the time limit itself says less than the answer before it.
      if (systemClock.monotonic() < until) last = error.message
    }
    await systemClock.sleep(Math.min(POLL_MS, leftMs), edge.stopped).catch(() => {})
  }
  throw new ExitError('unavailable', `stopped while waiting: ${last}`)
}

function parseTimeout(text: string): number {
  const parsed = duration({ zero: 'refused' })(text)
  if ('problem' in parsed) throw new ExitError('usage_invalid', `--timeout ${parsed.problem}`)
  return parsed.value
}
