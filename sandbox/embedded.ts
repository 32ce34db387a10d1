import type { Fault } from './faults.ts'

/** What a sandbox may be told; everything has a default. */
export interface SandboxSettings {
  /** The API client's secret. Default `demo-secret`. */
  readonly secret?: string
  /** Life of the tokens in ms; null = they never expire. Default one hour. */
  readonly tokenLifeMs?: number | null
  /** Requests to the token API for each UTC day. Default 288. */
  readonly quotaPerDay?: number
}

/** One request to the token API, or one foreign mint. Instants are epoch ms. */
export interface TokenRequest {
  /** `minted`, or why not: `secret_unknown`, `quota_exhausted`, `faulty`, …; null while it is under way. */
  readonly outcome: string | null
  /** Number of the token minted, counted from 1. */
  readonly generation: number | null
  /** Somebody else's, by `foreignMint`. */
  readonly foreign: boolean
  readonly startedAt: number
  /** Null when the client never got an answer. */
  readonly answeredAt: number | null
  /** Requests under way when this one began, itself included: a sidecar never has two. */
  readonly inFlight: number
}

/** The Clear API in this process, for tests. */
export interface Sandbox {
  /** Origin of the business APIs. */
  readonly url: string
  /** The Generate Access Token API; it has a port of its own, so that it can be refused alone. */
  readonly tokenUrl: string
  /** What a sidecar in front of it is created with. Its token is kept in memory. */
  readonly settings: {
    readonly CLIENT_SECRET: string
    readonly UPSTREAM_URL: string
    readonly TOKEN_URL: string
    readonly TOKEN_STORE: string
  }
  readonly faults: {
    /** Begins a fault; what there is, is in sandbox/README.md. */
    add(fault: Fault): void
    /** Ends all faults; resolves when refused ports accept again. */
    clear(): Promise<void>
  }
  /** Requests to the token API, oldest first. */
  tokenRequests(): readonly TokenRequest[]
  /** Somebody else mints with the same secret: the token in use is revoked at once. */
  foreignMint(): void
  /** Ends listeners, connections and timers. */
  stop(): Promise<void>
}

/** Starts the simulator of the Clear API on free ports of 127.0.0.1. */
export async function createSandbox(settings: SandboxSettings = {}): Promise<Sandbox> {
  const { secret = 'demo-secret', tokenLifeMs = 3_600_000, quotaPerDay = 288 } = settings
  // Loaded when it is asked for: an app that embeds the sidecar alone has no use for it.
  const { startSandbox } = await import('./server.ts')
  const sandbox = await startSandbox({
    clients: [{ name: 'demo', secret }],
    tokenLifeMs,
    quotaPerDay,
    tokenPort: 0,
  })
  return {
    url: sandbox.url,
    tokenUrl: sandbox.tokenUrl,
    settings: {
      CLIENT_SECRET: secret,
      UPSTREAM_URL: sandbox.url,
      TOKEN_URL: sandbox.tokenUrl,
      TOKEN_STORE: 'memory:',
    },
    faults: {
      add: (fault) => void sandbox.faults.add(fault),
      clear: () => sandbox.faults.clear(),
    },
    tokenRequests: () => sandbox.log.events,
    foreignMint: () => void sandbox.foreignMint(),
    stop: () => sandbox.close(),
  }
}
