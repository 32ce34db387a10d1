import { formatAddress, isLocal } from '../proxy/lib/address.ts'
import type { Config } from './config.ts'
import type { ConfigWarning } from './config-error.ts'
import { formatDuration } from './parsers.ts'
import type { SettingsReader } from './settings-reader.ts'
import { routeVariable } from './variables.ts'

/**
 * What one setting means for another. Problems go to the reader; what is only doubtful is returned as warnings. A check
 * is left out when one of its settings is itself invalid, since the value at hand is then not the one that was meant.
 */
export function crossCheck(config: Config, reader: SettingsReader): ConfigWarning[] {
  checkListeners(config, reader)
  checkClientCertificate(reader)
  return [
    ...checkCallerKeys(config, reader),
    ...holdWarnings(config, reader),
    ...budgetWarnings(config),
    ...replayWarnings(config, reader),
    ...urlWarnings(reader),
  ]
}

function checkListeners({ listen, opsListen }: Config, reader: SettingsReader): void {
  if (!reader.areSound('LISTEN')) return
  if (!isLocal(listen) && !reader.read('CALLER_KEY').isSet) {
    reader.problem(
      'CALLER_KEY',
      `is required because other hosts can reach LISTEN (${formatAddress(listen)}): set it, or CALLER_KEY_FILE, to a ` +
        'long random value that callers send as x-sidecar-key, or listen on 127.0.0.1 or a unix: socket',
    )
  }
  const picksPort = listen.kind === 'tcp' && listen.port === 0
  if (reader.areSound('OPS_LISTEN') && !picksPort && formatAddress(listen) === formatAddress(opsListen)) {
    reader.problem('OPS_LISTEN', 'is the same address as LISTEN')
  }
}

function checkClientCertificate(reader: SettingsReader): void {
  const cert = reader.read('UPSTREAM_CERT_FILE')
  const key = reader.read('UPSTREAM_KEY_FILE')
  if (cert.isSet && !key.isSet) reader.problem('UPSTREAM_KEY_FILE', 'is required with UPSTREAM_CERT_FILE')
  if (key.isSet && !cert.isSet) reader.problem('UPSTREAM_CERT_FILE', 'is required with UPSTREAM_KEY_FILE')
}

/** Below this a key can be guessed over a network. Advised and not demanded: how long a key has to be is its owner's word. */
const ADVISED_KEY_LENGTH = 16

function checkCallerKeys({ listen, credentials }: Config, reader: SettingsReader): ConfigWarning[] {
  const { value: keys, variable } = reader.read('CALLER_KEY')
  if (keys === null) return []
  if (credentials.some(({ secret }) => keys.some((key) => key.equals(secret)))) {
    reader.problem(variable, 'must not be the client secret: callers are to do without it')
  }
  if (keys.every((key) => key.length >= ADVISED_KEY_LENGTH)) return []
  const message = `holds a key of fewer than ${ADVISED_KEY_LENGTH} characters: "openssl rand -hex 24" makes a better one`
  const isExposed = !isLocal(listen) && reader.areSound('LISTEN')
  return [{ variable, message: isExposed ? `${message}, and other hosts can reach LISTEN` : message }]
}

/** Time a replica needs, after a mint's deadline and the quarantine, to publish the token. */
const PUBLISH_MS = 1000

function holdWarnings({ token }: Config, reader: SettingsReader): ConfigWarning[] {
  const leaseMs = token.mintTimeoutMs + token.mintQuarantineMs + PUBLISH_MS
  if (token.holdTimeoutMs > leaseMs || !reader.areSound('HOLD_TIMEOUT', 'MINT_TIMEOUT', 'MINT_QUARANTINE'))
    return []
  const message =
    `is ${formatDuration(token.holdTimeoutMs)} but should be longer than ${formatDuration(leaseMs)} (MINT_TIMEOUT + ` +
    'MINT_QUARANTINE + 1s): calls held for a replica that is killed while minting will fail'
  return [{ variable: 'HOLD_TIMEOUT', message }]
}

/** Requests to the token API that one secret may make in one UTC day. */
const DAILY_QUOTA = 288

function budgetWarnings({ token }: Config): ConfigWarning[] {
  if (token.mintDailyBudget <= DAILY_QUOTA) return []
  const message = `is ${token.mintDailyBudget} but the token API refuses more than ${DAILY_QUOTA} requests a day`
  return [{ variable: 'MINT_DAILY_BUDGET', message }]
}

function replayWarnings({ relay }: Config, reader: SettingsReader): ConfigWarning[] {
  if (relay.replayBodyLimitBytes <= relay.replayMemoryLimitBytes) return []
  if (!reader.areSound('REPLAY_BODY_LIMIT', 'REPLAY_MEMORY_LIMIT')) return []
  const message = 'is larger than REPLAY_MEMORY_LIMIT, which no single body can exceed'
  return [{ variable: 'REPLAY_BODY_LIMIT', message }]
}

function urlWarnings(reader: SettingsReader): ConfigWarning[] {
  const routes = reader.read('ROUTES').value ?? []
  const warnings: ConfigWarning[] = []
  for (const name of ['UPSTREAM_URL', 'TOKEN_URL'] as const) {
    for (const variable of [name, ...routes.map((route) => routeVariable(route, name))]) {
      const url = reader.read(name, variable).value
      if (url === null) continue
      if (url.protocol === 'http:' && !isLoopback(url)) {
        warnings.push({ variable, message: 'is plain http to another host: secrets can be read on the way' })
      }
      if (name === 'TOKEN_URL' && url.pathname === '/') {
        warnings.push({ variable, message: 'has no path; the usual one is /integration/v1/authz/token' })
      }
    }
  }
  return warnings
}

function isLoopback({ hostname }: URL): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}
