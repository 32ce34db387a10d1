import { ExitError } from '../lib/errors.ts'
import type { CredentialDocument, StatusDocument } from '../ops/status.ts'
import type { Edge } from './edge.ts'
import { opsClient } from './ops-client.ts'
import { readOptions } from './options.ts'

const TIMEOUT_MS = 5_000

/** Prints the running sidecar's state; `--json` prints /status as it is. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { json } = readOptions(args, { json: { type: 'boolean', default: false } })
  const client = opsClient(edge)
  const answer = await client.ask('GET', '/status', AbortSignal.timeout(TIMEOUT_MS))
  if (answer.status !== 200 || answer.json === null) {
    throw new ExitError(
      'unavailable',
      `${client.address} answered ${answer.status} to /status; is it a token-sidecar?`,
    )
  }
  if (json) edge.out(`${JSON.stringify(answer.json, null, 2)}\n`)
  else edge.out(describe(answer.json as StatusDocument))
}

function describe(status: StatusDocument): string {
  const ready = status.ready ? 'ready' : `not ready: ${status.reason}`
  const lines = [`token-sidecar ${status.version}, up ${status.uptime_s} s, ${ready}`, '']
  for (const credential of status.credentials) lines.push(...describeCredential(credential), '')
  lines.push('routes')
  for (const { name, prefix, upstream, credential } of status.routes) {
    lines.push(`  ${name}  ${prefix} → ${upstream}  (credential ${credential})`)
  }
  return `${lines.join('\n')}\n`
}

function describeCredential(credential: CredentialDocument): string[] {
  const { mints, store, last_error: error } = credential
  const health = store.healthy ? '' : ', not reachable'
  return [
    `credential ${credential.name}: ${credential.state}`,
    `  token        generation ${credential.generation}, fingerprint ${credential.fingerprint ?? 'none'}`,
    `  minted at    ${credential.minted_at ?? 'never'}`,
    `  valid till   ${credential.valid_till ?? (credential.generation === 0 ? 'no token' : 'never expires')}`,
    `  next refresh ${credential.next_refresh_at ?? 'none planned'}`,
    `  requests     ${mints.today} of ${mints.budget} today, ${mints.failed} of ${mints.total} here failed`,
    `  store        ${store.kind}${health}`,
    ...(error === null
      ? []
      : [
          `  last error   ${error.code} at ${error.at}${error.error_id === null ? '' : `, error id ${error.error_id}`}`,
        ]),
  ]
}
