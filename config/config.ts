import type { ListenAddress } from '../proxy/lib/address.ts'
import type { AllowRule } from '../proxy/lib/allow-rule.ts'
import type { Secret } from '../proxy/lib/secret.ts'

/**
 * Everything the environment says, parsed and checked. Frozen throughout, apart from the `URL` objects, which JavaScript
 * cannot freeze: treat them as read-only. Times are in ms, sizes in bytes; null stands for "not set".
 */
export interface Config {
  readonly listen: ListenAddress
  readonly opsListen: ListenAddress
  /** One key, or two while one is replaced; null = callers need none. */
  readonly callerKeys: readonly Secret[] | null
  /** Lower case, without port; IPv6 in brackets, as a `Host` field has it. */
  readonly allowedHosts: readonly string[]
  readonly store: StoreConfig
  /** One for each distinct pair of token URL and secret; the first is the main one. */
  readonly credentials: readonly CredentialConfig[]
  /** Longest prefix first, so the main route (`/`) is last. */
  readonly routes: readonly RouteConfig[]
  readonly token: TokenConfig
  readonly relay: RelayConfig
  readonly shutdownTimeoutMs: number
  readonly log: LogConfig
}

/** Where tokens are kept and shared. */
export type StoreConfig =
  | { readonly kind: 'memory' }
  | { readonly kind: 'file'; readonly path: string }
  /** `display` is the URL without its credentials. */
  | { readonly kind: 'redis'; readonly url: Secret; readonly display: string }
  /** Namespace null: the one the pod runs in. API server null: this is no pod. */
  | {
      readonly kind: 'kubernetes'
      readonly namespace: string | null
      readonly name: string
      readonly apiServer: string | null
    }

/** What one token is minted with. */
export interface CredentialConfig {
  /** `default` for the main one, else the name of the first route that uses it. */
  readonly name: string
  readonly tokenUrl: URL
  readonly secret: Secret
  /** Path the secret was read from, to be read again when the file changes; null = it came from the environment. */
  readonly secretFile: string | null
}

/** Where calls under one prefix go. The main route is named `default` and has the prefix `/`. */
export interface RouteConfig {
  readonly name: string
  /** `/` or like `/gls`: no slash at the end. */
  readonly prefix: string
  /** Base URL: its path has no slash at the end, other than the root. */
  readonly upstream: URL
  /** Lower case. */
  readonly tokenHeader: string
  readonly tokenPrefix: string
  /** Null: everything but the token path. */
  readonly allow: readonly AllowRule[] | null
  /** Name in `Config.credentials`. */
  readonly credential: string
}

/** When tokens are minted and how long calls wait for one. */
export interface TokenConfig {
  /** Null: the smaller of five minutes and a tenth of the token's life. */
  readonly refreshLeadMs: number | null
  /** Cron expression. */
  readonly rotateSchedule: string | null
  readonly holdTimeoutMs: number
  readonly rotationHoldMs: number
  readonly mintTimeoutMs: number
  readonly mintQuarantineMs: number
  readonly mintMinIntervalMs: number
  /** Requests for each secret and UTC day. */
  readonly mintDailyBudget: number
}

/** How calls are passed on. */
export interface RelayConfig {
  readonly rejectedStatus: readonly number[]
  readonly maskToken: boolean
  readonly replayBodyLimitBytes: number
  readonly replayMemoryLimitBytes: number
  readonly upstreamConnectTimeoutMs: number
  readonly upstreamTimeoutMs: number
  readonly upstreamTls: UpstreamTlsConfig
  readonly maxConnections: number
  readonly maxHeaderBytes: number
}

/** Contents of the certificate files, PEM. */
export interface UpstreamTlsConfig {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: Secret | undefined
}

export interface LogConfig {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  readonly format: 'json' | 'pretty'
  readonly accessLog: 'off' | 'errors' | 'all'
}
