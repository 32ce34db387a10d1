import type { ListenAddress } from '../lib/address.ts'
import type { AllowRule } from '../lib/allow-rule.ts'
import type { Secret } from '../lib/secret.ts'
import type { TlsFiles } from '../lib/tls.ts'
import type { TokenSource } from '../token/source.ts'
import type { TrafficCounters } from './counters.ts'

/** Where calls under one prefix go, and with which token. */
export interface Route {
  readonly name: string
  /** `/` or `/gls`, without a slash at the end; removed before forwarding. */
  readonly prefix: string
  /** Base URL of the business API: http or https, may have a path, no query, no credentials. */
  readonly upstream: URL
  /** Lower case. */
  readonly tokenHeader: string
  readonly tokenPrefix: string
  /** Null: everything but the token path. */
  readonly allow: readonly AllowRule[] | null
  readonly tokens: TokenSource
  /** Name of the credential, for logs and status. */
  readonly credential: string
}

/** What the data plane needs to know; all times in ms, all sizes in bytes. */
export interface ForwarderOptions {
  readonly listen: ListenAddress
  readonly routes: readonly Route[]
  /** Paths of all token APIs configured, never forwarded in any spelling. */
  readonly tokenPaths: readonly string[]
  /** Header names (lower case) a caller may never set upstream: token headers of all routes, the secret header, the caller key. */
  readonly forbiddenHeaders: ReadonlySet<string>
  /** Lower case, without port. */
  readonly allowedHosts: readonly string[]
  /** Null: callers need no key. */
  readonly callerKeys: readonly Secret[] | null
  readonly rejectedStatus: ReadonlySet<number>
  readonly maskToken: boolean
  readonly replayBodyLimitBytes: number
  readonly replayMemoryLimitBytes: number
  readonly upstreamConnectTimeoutMs: number
  readonly upstreamTimeoutMs: number
  readonly upstreamTls: TlsFiles
  readonly maxConnections: number
  readonly maxHeaderBytes: number
  /** Which calls leave a line in the log. */
  readonly accessLog: 'off' | 'errors' | 'all'
}

/**
 * The data plane behind the composition root: owns the caller-facing listener and the connections to the upstreams.
 * An engine is chosen in app.ts and nowhere else, and every engine passes test/relay/contract.ts.
 */
export interface Forwarder {
  /** Opens the listener; resolves to the address bound (`http://127.0.0.1:8080`, `unix:/run/x.sock`). Rejects with the system error. */
  listen(): Promise<string>
  /**
   * Accepts no new connections, answers new calls on open ones with `shutting_down`, and resolves when the calls under
   * way have ended or `signal` aborts; whatever is open then is cut.
   */
  drain(signal: AbortSignal): Promise<void>
  readonly counters: TrafficCounters
}
