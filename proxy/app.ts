import type { Config, CredentialConfig } from '../config/config.ts'
import { deadline } from './lib/abort.ts'
import { formatAddress, type ListenAddress } from './lib/address.ts'
import type { RecordCall } from './lib/call-line.ts'
import type { Cancel, Clock } from './lib/clock.ts'
import { ExitError, ProblemError } from './lib/errors.ts'
import type { Log } from './lib/log.ts'
import type { Secret } from './lib/secret.ts'
import type { Ticker } from './lib/ticker.ts'
import type { RotateResult } from './ops/admin.ts'
import type { Runtime } from './ops/metric-families.ts'
import { createOps } from './ops/server.ts'
import { CALLER_KEY_HEADER } from './relay/admission.ts'
import type { Forwarder, ForwarderOptions } from './relay/forwarder.ts'
import { createRelay } from './relay/relay.ts'
import type { EntryMedium } from './stores/entry.ts'
import { openMedium } from './stores/open.ts'
import { createSealer } from './stores/seal.ts'
import { EntryTokenStore } from './stores/token-store.ts'
import { ClearMinter, SECRET_HEADER } from './token/clear-minter.ts'
import type { SecretParts } from './token/effects.ts'
import { TokenManager } from './token/manager.ts'
import { SecretFile } from './token/secret-file.ts'

/** What the process lends to the sidecar. */
export interface AppParts {
  readonly config: Config
  readonly version: string
  readonly clock: Clock
  readonly ticker: Ticker
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Names this process among all that share the token store. */
  readonly id: string
  readonly readFile: (path: string) => Promise<string>
  readonly runtime: Runtime
  readonly log: Log
  /** Where the access log goes, if anywhere. */
  readonly recordCall?: RecordCall
  /** Called when `POST /quit` asks the process to end. */
  readonly quit: () => void
}

/** A running sidecar. */
export interface App {
  /** Where callers reach it. */
  readonly url: string
  /** Where probes and people reach it. */
  readonly opsUrl: string
  /** Lets calls under way finish for `SHUTDOWN_TIMEOUT`, then ends everything. */
  stop(): Promise<void>
}

/** Headers that carry tokens in Clear's products: never a caller's to set, whichever one a route injects. */
const KNOWN_TOKEN_HEADERS = ['x-cleartax-auth-token', 'x-clear-auth-token']

/**
 * Builds the sidecar's parts from the configuration and starts them: both listeners open at once, readiness follows when
 * a token is held. Rejects with `ExitError` `unavailable` when an address cannot be bound.
 */
export async function startApp(parts: AppParts): Promise<App> {
  const { config, clock, log, ticker } = parts
  const startedAt = clock.now()
  const medium = await openMedium(config.store, parts)
  const managers = new Map(
    config.credentials.map((credential) => [credential.name, managerFor(credential, medium, parts)]),
  )
  const forwarder = createRelay(forwarderOptions(config, managers), parts)
  let started = false
  let draining = false

  const ops = createOps({
    ...parts,
    startedAt,
    routes: config.routes,
    allowedHosts: opsHosts(config),
    counters: forwarder.counters,
    lifecycle: { started: () => started, draining: () => draining },
    credentials: () => [...managers.values()].map((manager) => manager.status()),
    observe: (changed) => {
      const cancels = [...managers.values()].map((manager) => manager.observe(changed))
      return () => {
        for (const cancel of cancels) cancel()
      }
    },
    rotate: (credential, signal) => rotate(managers.get(credential), credential, signal),
  })

  const cancels: Cancel[] = []

  const stopAll = async () => {
    for (const cancel of cancels) cancel()
    await ops.close()
    await Promise.all([...managers.values()].map((manager) => manager.stop()))
    await medium.close()
  }

  try {
    const url = await opened('LISTEN', config.listen, forwarder.listen())
    const opsUrl = await opened('OPS_LISTEN', config.opsListen, ops.listen(config.opsListen))
    // Not before: a process that finds its address taken must not revoke the token of the one that has it.
    for (const manager of managers.values()) manager.start()
    cancels.push(
      ...schedule(config, [...managers.values()], ticker),
      ticker.everySecond(() => ops.tick()),
      ...watchSecrets(managers, medium, parts),
    )
    started = true
    log.info('started', {
      version: parts.version,
      listen: url,
      ops: opsUrl,
      store: medium.kind,
      routes: config.routes.length,
    })
    return {
      url,
      opsUrl,
      async stop() {
        draining = true
        log.info('draining', { in_flight: forwarder.counters.inFlight, timeout_ms: config.shutdownTimeoutMs })
        await drained(forwarder, config.shutdownTimeoutMs, clock)
        await stopAll()
        log.info('stopped')
      },
    }
  } catch (error) {
    await drained(forwarder, 0, clock)
    await stopAll()
    throw error
  }
}

function managerFor(credential: CredentialConfig, medium: EntryMedium, parts: AppParts): TokenManager {
  const secretParts = partsOfSecret(credential, credential.secret, medium, parts)
  return new TokenManager({ ...parts, ...secretParts, name: credential.name, policy: parts.config.token })
}

function partsOfSecret(
  credential: CredentialConfig,
  secret: Secret,
  medium: EntryMedium,
  parts: AppParts,
): SecretParts {
  const { clock, log, config, id } = parts
  const { tokenUrl } = credential
  return {
    minter: new ClearMinter({ tokenUrl, secret, tls: config.relay.upstreamTls, clock, log }),
    // Credentials that come to have the same secret share an entry, and are told apart like replicas.
    store: new EntryTokenStore(medium, createSealer(secret, tokenUrl), clock, `${id}/${credential.name}`),
  }
}

function forwarderOptions(config: Config, managers: ReadonlyMap<string, TokenManager>): ForwarderOptions {
  const { relay, routes, credentials } = config
  return {
    ...relay,
    listen: config.listen,
    routes: routes.map((route) => {
      const tokens = managers.get(route.credential)
      if (tokens === undefined) throw new Error(`route ${route.name} names no credential`)
      return { ...route, tokens }
    }),
    tokenPaths: credentials.map(({ tokenUrl }) => tokenUrl.pathname),
    forbiddenHeaders: new Set([
      ...KNOWN_TOKEN_HEADERS,
      ...routes.map(({ tokenHeader }) => tokenHeader),
      SECRET_HEADER,
      CALLER_KEY_HEADER,
    ]),
    allowedHosts: config.allowedHosts,
    callerKeys: config.callerKeys,
    rejectedStatus: new Set(relay.rejectedStatus),
    accessLog: config.log.accessLog,
  }
}

/** Who gave the ops address a name asks for it by that name. */
function opsHosts({ allowedHosts, opsListen }: Config): readonly string[] {
  return opsListen.kind === 'tcp' ? [...allowedHosts, opsListen.host] : allowedHosts
}

function schedule(config: Config, managers: readonly TokenManager[], ticker: Ticker): Cancel[] {
  const { rotateSchedule } = config.token
  const all = (act: (manager: TokenManager) => void) => () => managers.forEach(act)
  const cancels = [ticker.everySecond(all((manager) => manager.tick()))]
  if (rotateSchedule !== null)
    cancels.push(
      ticker.at(
        rotateSchedule,
        all((manager) => manager.scheduled()),
      ),
    )
  return cancels
}

function watchSecrets(
  managers: ReadonlyMap<string, TokenManager>,
  medium: EntryMedium,
  parts: AppParts,
): Cancel[] {
  const { config, ticker, readFile, log } = parts
  return config.credentials.flatMap((credential) => {
    if (credential.secretFile === null) return []
    const file = new SecretFile({
      path: credential.secretFile,
      current: credential.secret,
      readFile,
      log,
      changed: (secret) =>
        managers.get(credential.name)?.replaceSecret(partsOfSecret(credential, secret, medium, parts)),
    })
    return [ticker.everySecond(() => void file.check())]
  })
}

async function rotate(
  manager: TokenManager | undefined,
  credential: string,
  signal: AbortSignal,
): Promise<RotateResult> {
  if (manager === undefined) return { kind: 'failed', credential, code: 'credential_unknown' }
  const { lastError: earlier } = manager.status()
  try {
    const { generation, fingerprint, mintedAt, validTill } = await manager.rotate(signal)
    return {
      kind: 'minted',
      credential,
      generation,
      fingerprint: fingerprint ?? '',
      mintedAt: mintedAt ?? 0,
      validTill,
    }
  } catch (error) {
    const { lastError } = manager.status()
    // What went wrong before this rotation is not why it failed.
    if (!(error instanceof ProblemError) || lastError === null || lastError === earlier) throw error
    const { code, errorId } = lastError
    const retryAfterS = error.retryAfterS === undefined ? {} : { retryAfterS: error.retryAfterS }
    return { kind: 'failed', credential, code, errorId, ...retryAfterS }
  }
}

async function opened(variable: string, address: ListenAddress, bound: Promise<string>): Promise<string> {
  try {
    return await bound
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new ExitError(
      'unavailable',
      `${variable}: ${formatAddress(address)} cannot be bound (${code})`,
      error,
    )
  }
}

async function drained(forwarder: Forwarder, timeoutMs: number, clock: Clock): Promise<void> {
  const bound = deadline(clock, timeoutMs)
  await forwarder.drain(bound.signal).finally(bound.clear)
}
