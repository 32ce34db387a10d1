import { ExitError } from '../lib/errors.ts'
import type { StatusDocument } from '../ops/status.ts'
import type { Edge } from './edge.ts'
import { opsClient } from './ops-client.ts'
import { readOptions } from './options.ts'
import { statusText } from './status-text.ts'

const TIMEOUT_MS = 5_000

/** Prints the running sidecar's state; `--json` prints /status as it is. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { json } = readOptions(args, 'status')
  const client = opsClient(edge)
  const answer = await client.ask('GET', '/status', AbortSignal.timeout(TIMEOUT_MS))
  if (answer.status !== 200 || !isStatus(answer.json)) {
    throw new ExitError(
      'unavailable',
      `${client.address} (OPS_LISTEN) answered ${answer.status} to /status, and not as a token-sidecar does`,
    )
  }
  if (json) edge.out(`${JSON.stringify(answer.json, null, 2)}\n`)
  else edge.out(statusText(answer.json, edge.outHasColour))
}

/** Another program may listen there. */
function isStatus(json: unknown): json is StatusDocument {
  const { credentials, routes } = (json ?? {}) as { credentials?: unknown; routes?: unknown }
  return Array.isArray(credentials) && Array.isArray(routes)
}
