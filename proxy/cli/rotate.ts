import { ExitError } from '../lib/errors.ts'
import { wrapped } from '../lib/wrapped.ts'
import { adviceLines } from './advice-lines.ts'
import type { Edge } from './edge.ts'
import { type OpsAnswer, opsClient } from './ops-client.ts'
import { readOptions } from './options.ts'

const TIMEOUT_MS = 60_000

/** Has the running sidecar mint a new token now, for `--credential NAME` or its only one. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { credential } = readOptions(args, 'rotate')
  const query = credential === undefined ? '' : `?credential=${encodeURIComponent(credential)}`
  const answer = await opsClient(edge).ask('POST', `/rotate${query}`, AbortSignal.timeout(TIMEOUT_MS))
  const body = (answer.json ?? {}) as Record<string, unknown>
  if (answer.status !== 200) throw new ExitError('unavailable', failure(answer))
  edge.out(
    `minted generation ${body['generation']}, fingerprint ${body['fingerprint']}, valid till ${body['valid_till'] ?? 'revoked'}\n` +
      `  for credential ${body['credential']}; the token before it is revoked, and calls go with the new one\n`,
  )
}

/** What went wrong, why, and what to do. */
function failure({ status, json }: OpsAnswer): string {
  const { code, detail, credentials, error_id: errorId } = (json ?? {}) as Record<string, unknown>
  if (typeof code !== 'string') return `no new token was minted: status ${status}`
  const id = typeof errorId === 'string' ? `, error id ${errorId}` : ''
  const known = Array.isArray(credentials) ? ` There are: ${credentials.join(', ')}.` : ''
  // What the ops address says of a request to itself, the table says of calls.
  const advice = code.startsWith('request_') ? [] : adviceLines(code)
  const words = advice.length > 0 ? advice : wrapped(`${detail}${known}`, '  ')
  return [`no new token was minted: ${code}${id}`, ...words].join('\n')
}
