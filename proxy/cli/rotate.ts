import { ExitError } from '../lib/errors.ts'
import type { Edge } from './edge.ts'
import { opsClient } from './ops-client.ts'
import { readOptions } from './options.ts'

const TIMEOUT_MS = 60_000

/** Has the running sidecar mint a new token now, for `--credential NAME` or its only one. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { credential } = readOptions(args, { credential: { type: 'string' } })
  const query = credential === undefined ? '' : `?credential=${encodeURIComponent(credential)}`
  const answer = await opsClient(edge).ask('POST', `/rotate${query}`, AbortSignal.timeout(TIMEOUT_MS))
  const body = (answer.json ?? {}) as Record<string, unknown>
  if (answer.status !== 200) {
    const reason = [body['code'], body['detail']].filter((part) => typeof part === 'string').join(': ')
    throw new ExitError(
      'unavailable',
      `no new token was minted: ${reason === '' ? `status ${answer.status}` : reason}`,
    )
  }
  edge.out(
    `minted generation ${body['generation']}, fingerprint ${body['fingerprint']}, valid till ${body['valid_till'] ?? 'revoked'}\n`,
  )
}
