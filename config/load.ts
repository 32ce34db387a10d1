import { join } from 'node:path'
import type { Config, StoreConfig } from './config.ts'
import { ConfigError, type ConfigWarning } from './config-error.ts'
import { crossCheck } from './cross-checks.ts'
import { deepFreeze } from './deep-freeze.ts'
import { readRoutes } from './routes.ts'
import { type ReadFile, SettingsReader } from './settings-reader.ts'
import { unknownVariables } from './unknown-variables.ts'
import { readUpstreamTls } from './upstream-tls.ts'
import type { Environment } from './variables.ts'

export interface LoadOptions {
  readonly env: Environment
  readonly readFile: ReadFile
  /** Home directory of the user, for the default token file; empty when there is none. */
  readonly homeDir: string
}

/**
 * Turns the environment into one frozen `Config`, once, at the edge of the process. Throws one `ConfigError` (exit code
 * 78) that lists every problem by variable name and never a secret's value.
 */
export function loadConfig({ env, readFile, homeDir }: LoadOptions): {
  readonly config: Config
  readonly warnings: readonly ConfigWarning[]
} {
  const reader = new SettingsReader(env, readFile)
  const { routes, credentials } = readRoutes(reader)
  const config: Config = {
    listen: reader.value('LISTEN'),
    opsListen: reader.value('OPS_LISTEN'),
    callerKeys: reader.read('CALLER_KEY').value,
    allowedHosts: reader.value('ALLOWED_HOSTS'),
    store: readStore(reader, env, homeDir),
    credentials,
    routes,
    token: {
      refreshLeadMs: reader.read('REFRESH_LEAD').value,
      rotateSchedule: reader.read('ROTATE_SCHEDULE').value,
      holdTimeoutMs: reader.value('HOLD_TIMEOUT'),
      rotationHoldMs: reader.value('ROTATION_HOLD'),
      mintTimeoutMs: reader.value('MINT_TIMEOUT'),
      mintQuarantineMs: reader.value('MINT_QUARANTINE'),
      mintMinIntervalMs: reader.value('MINT_MIN_INTERVAL'),
      mintDailyBudget: reader.value('MINT_DAILY_BUDGET'),
    },
    relay: {
      rejectedStatus: reader.value('REJECTED_STATUS'),
      maskToken: reader.value('MASK_TOKEN'),
      replayBodyLimitBytes: reader.value('REPLAY_BODY_LIMIT'),
      replayMemoryLimitBytes: reader.value('REPLAY_MEMORY_LIMIT'),
      upstreamConnectTimeoutMs: reader.value('UPSTREAM_CONNECT_TIMEOUT'),
      upstreamTimeoutMs: reader.value('UPSTREAM_TIMEOUT'),
      upstreamTls: readUpstreamTls(reader),
      maxConnections: reader.value('MAX_CONNECTIONS'),
      maxHeaderBytes: reader.value('MAX_HEADER_BYTES'),
    },
    shutdownTimeoutMs: reader.value('SHUTDOWN_TIMEOUT'),
    log: {
      level: reader.value('LOG_LEVEL'),
      format: reader.value('LOG_FORMAT'),
      accessLog: reader.value('ACCESS_LOG'),
    },
  }
  const warnings = [...unknownVariables(env, reader.read('ROUTES')), ...crossCheck(config, reader)]
  const problems = reader.problems()
  if (problems.length > 0) throw new ConfigError(problems, warnings)
  return { config: deepFreeze(config), warnings }
}

function readStore(reader: SettingsReader, env: Environment, homeDir: string): StoreConfig {
  const location = reader.value('TOKEN_STORE')
  if (location.kind === 'kubernetes') return { ...location, apiServer: apiServer(env) }
  if (location.kind !== 'file') return location
  return { kind: 'file', path: location.path ?? defaultTokenFile(reader, env, homeDir) }
}

/** The kubelet tells every container where the API server is. */
function apiServer({
  KUBERNETES_SERVICE_HOST: host = '',
  KUBERNETES_SERVICE_PORT: port = '443',
}: Environment): string | null {
  if (host === '') return null
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}

const TOKEN_FILE = 'token-sidecar/tokens.json'

/** In the state directory of the XDG base directory specification, which says that a relative one is to be ignored. */
function defaultTokenFile(reader: SettingsReader, env: Environment, homeDir: string): string {
  const { XDG_STATE_HOME: xdgStateHome = '' } = env
  if (xdgStateHome.startsWith('/')) return join(xdgStateHome, TOKEN_FILE)
  if (!homeDir.startsWith('/') && reader.areSound('TOKEN_STORE')) {
    reader.problem('TOKEN_STORE', 'must name a file, such as file:/path: the user has no home directory')
  }
  return join(homeDir, '.local/state', TOKEN_FILE)
}
