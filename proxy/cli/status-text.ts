import type { CredentialDocument, StatusDocument } from '../ops/status.ts'
import { formatSpan } from '../ops/time-span.ts'
import { adviceLines } from './advice-lines.ts'

const RED = 31
const GREEN = 32
const YELLOW = 33
const DIM = 2

/** What a state asks of a person. */
const STATE_COLOURS: Readonly<Record<string, number>> = {
  fresh: GREEN,
  starting: YELLOW,
  rotating: YELLOW,
  suspect: YELLOW,
  backing_off: YELLOW,
  rejected: RED,
}

type Paint = (code: number, text: string) => string

/** /status for people: aligned, and with what to do about what is wrong. */
export function statusText(status: StatusDocument, colour: boolean): string {
  const paint: Paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const ready = status.ready ? paint(GREEN, 'ready') : paint(RED, `not ready: ${status.reason}`)
  const lines = [`token-sidecar ${status.version}, up ${formatSpan(status.uptime_s * 1000)}, ${ready}`]
  for (const credential of status.credentials) lines.push('', ...credentialLines(credential, paint))
  lines.push('', 'routes')
  const width = (of: (route: StatusDocument['routes'][number]) => string) =>
    Math.max(0, ...status.routes.map((route) => of(route).length))
  const names = width(({ name }) => name)
  const prefixes = width(({ prefix }) => prefix)
  for (const { name, prefix, upstream, credential } of status.routes) {
    lines.push(
      `  ${name.padEnd(names)}  ${prefix.padEnd(prefixes)}  →  ${upstream}  ${paint(DIM, `credential ${credential}`)}`,
    )
  }
  return `${lines.join('\n')}\n`
}

function credentialLines(credential: CredentialDocument, paint: Paint): string[] {
  const { name, state, fingerprint, mints, store, last_error: error } = credential
  const held = fingerprint !== null
  const token = held ? `generation ${credential.generation}, fingerprint ${fingerprint}` : 'none'
  const rows: [string, string][] = [
    ['token', token],
    ['minted at', credential.minted_at ?? '–'],
    ['valid till', credential.valid_till ?? (held ? 'never expires' : '–')],
    ['next refresh', credential.next_refresh_at ?? 'none planned'],
    [
      'requests',
      `${mints.today} of ${mints.budget} today; here ${mints.total}, of which ${mints.failed} failed`,
    ],
    ['store', store.healthy ? store.kind : `${store.kind}, ${paint(RED, 'does not answer')}`],
  ]
  if (error !== null) {
    const id = error.error_id === null ? '' : `, error id ${error.error_id}`
    rows.push(['last error', `${error.code} at ${error.at}${id}`])
  }
  return [
    `credential ${name}: ${paint(STATE_COLOURS[state] ?? DIM, state)}`,
    ...rows.map(([label, value]) => `  ${paint(DIM, label.padEnd(12))}  ${value}`),
    ...troubles(credential).flatMap((code) => ['', ...adviceLines(code)]),
  ]
}

/** The codes of what is wrong now: an error that a newer token has made history needs no advice. */
function troubles({ state, store, last_error: error, minted_at: mintedAt }: CredentialDocument): string[] {
  const isPast = error?.at != null && mintedAt !== null && mintedAt > error.at && state === 'fresh'
  return [
    ...(error === null || isPast ? [] : [error.code]),
    ...(store.healthy ? [] : ['store_unreachable']),
    ...(state === 'suspect' && error === null ? ['token_suspect'] : []),
  ]
}
