import { randomBytes } from 'node:crypto'
import { Ingestion } from './business/ingestion.ts'
import { Invoices } from './business/invoices.ts'
import { oneIntegrationRoutes } from './business/one-integration.ts'
import { probeRoutes } from './business/probes.ts'
import { KSA_BASE_PATH } from './business/products.ts'
import { BusinessApi } from './business-api.ts'
import { type SandboxClock, systemClock, Timers } from './clock.ts'
import { CONTROL_PREFIX, Control } from './control.ts'
import { FaultPlan } from './fault-plan.ts'
import { Gate } from './gate.ts'
import { type ClientSettings, type IssuedToken, Issuer } from './issuer.ts'
import type { ListenerTls } from './listener.ts'
import { MintLog } from './mint-log.ts'
import { Ports } from './ports.ts'
import type { TokenField, ValidTillSpelling } from './token-answers.ts'
import { TokenApi } from './token-api.ts'

/** Where the token API is below its base path. */
export const TOKEN_PATH = '/integration/v1/authz/token'

/** The client that exists when none is named. */
export const DEMO_CLIENT = { name: 'demo', secret: 'demo-secret' } as const

export type SandboxClient = Pick<ClientSettings, 'name' | 'secret'> & Partial<ClientSettings>

/** Everything has a default; times in ms, sizes in bytes. */
export interface SandboxOptions {
  /** 127.0.0.1. */
  readonly host?: string
  /** Port of whatever has none of its own; 0, the default, picks a free one. */
  readonly port?: number
  /** Gives the token API a port of its own (0 = a free one), so that it can be refused alone. */
  readonly tokenPort?: number
  /** Gives the control endpoint a port of its own. */
  readonly controlPort?: number
  /** One client, `DEMO_CLIENT`. */
  readonly clients?: readonly SandboxClient[]
  /** Life of tokens where the client says nothing; null = they never expire. One hour. */
  readonly tokenLifeMs?: number | null
  /** Requests to the token API for each secret and UTC day. 288. */
  readonly quotaPerDay?: number
  /** Whether requests that got no token use the quota. True. */
  readonly failuresCount?: boolean
  /** Base paths below which the token API is served. The root and that of Saudi Arabia. */
  readonly tokenBasePaths?: readonly string[]
  readonly tokenField?: TokenField
  readonly validTillSpelling?: ValidTillSpelling
  /** Error of the API's clock as told in `Date` and `valid_till`. 0. */
  readonly clockSkewMs?: number
  /** How much of a rejected call's body is still read after the 401; 0 = none. 16 MiB. */
  readonly drainLimitBytes?: number
  /** How long an idle connection is kept. 65 s. */
  readonly keepAliveMs?: number
  /** Serves HTTPS with this certificate. */
  readonly tls?: ListenerTls
  readonly clock?: SandboxClock
  readonly random?: (sizeBytes: number) => Buffer
}

/** A running sandbox. */
export interface Sandbox {
  /** Origin of the business APIs, `http://127.0.0.1:4010`. */
  readonly url: string
  /** Full URL of the token API, below the first base path. */
  readonly tokenUrl: string
  /** Where the control endpoint begins, with its slash at the end. */
  readonly controlUrl: string
  readonly issuer: Issuer
  readonly faults: FaultPlan
  readonly log: MintLog
  readonly gate: Gate
  /** Somebody else mints with that client, by default the first: its current token is revoked at once. */
  foreignMint(client?: string): IssuedToken
  /** Ends listeners, connections and timers. */
  close(): Promise<void>
}

/** Starts the simulator of Clear's API. Rejects with the system error when a port cannot be bound. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const timers = new Timers(options.clock ?? systemClock)
  const now = () => timers.now()
  const random = options.random ?? randomBytes
  const lifeMs = options.tokenLifeMs === undefined ? 3_600_000 : options.tokenLifeMs
  const clients = options.clients ?? [DEMO_CLIENT]
  const tokenPaths = (options.tokenBasePaths ?? ['', KSA_BASE_PATH]).map((base) => base + TOKEN_PATH)

  const issuer = new Issuer({
    now,
    random,
    quotaPerDay: options.quotaPerDay ?? 288,
    failuresCount: options.failuresCount ?? true,
  })
  for (const client of clients) issuer.createClient({ lifeMs, allowedIps: null, ...client })
  const log = new MintLog()
  const gate = new Gate(issuer)
  const ports = new Ports({
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    tls: options.tls ?? null,
    keepAliveMs: options.keepAliveMs ?? 65_000,
    timers,
  })
  const faults = new FaultPlan(timers, ports)
  const ingestion = new Ingestion({ now, random, storageOrigin: () => ports.origin('business') })
  const sharesPort = (api: 'token' | 'business') => ports.share('control', api)
  const control = new Control({ issuer, faults, log, gate, ingestion, now, lifeMs, sharesPort })
  const tokenApi = new TokenApi({
    issuer,
    faults,
    log,
    timers,
    random,
    tokenField: options.tokenField ?? 'access_token',
    validTillSpelling: options.validTillSpelling ?? 'offset',
    clockSkewMs: options.clockSkewMs ?? 0,
  })
  const businessApi = new BusinessApi({
    gate,
    faults,
    timers,
    routes: [...ingestion.routes, ...new Invoices().routes, ...oneIntegrationRoutes, ...probeRoutes(timers)],
    openRoutes: ingestion.openRoutes,
    drainLimitBytes: options.drainLimitBytes ?? 16 * 1024 * 1024,
  })

  ports.add({
    api: 'control',
    port: options.controlPort,
    takes: (url) => url.startsWith(CONTROL_PREFIX),
    handle: (req, res) => control.handle(req, res),
  })
  ports.add({
    api: 'token',
    port: options.tokenPort,
    takes: (url) => tokenPaths.some((path) => url.startsWith(path) && isPathEnd(url[path.length])),
    handle: (req, res) => tokenApi.handle(req, res),
  })
  ports.add({
    api: 'business',
    port: undefined,
    takes: () => true,
    handle: (req, res, expectsContinue) => businessApi.handle(req, res, expectsContinue),
  })
  await ports.listen()

  return {
    url: ports.origin('business'),
    tokenUrl: ports.origin('token') + (tokenPaths[0] ?? TOKEN_PATH),
    controlUrl: ports.origin('control') + CONTROL_PREFIX,
    issuer,
    faults,
    log,
    gate,
    foreignMint(name = clients[0]?.name ?? '') {
      const token = issuer.foreignMint(name)
      log.foreign(name, token.generation, now())
      return token
    },
    close() {
      timers.cancelAll()
      return ports.close()
    },
  }
}

function isPathEnd(character: string | undefined): boolean {
  return character === undefined || character === '?'
}
