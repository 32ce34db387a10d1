import type { CredentialState, CredentialStatus } from '../token/status.ts'
import type { Health } from './health.ts'

/** One way through the proxy, as it is shown. */
export interface RouteSummary {
  readonly name: string
  readonly prefix: string
  readonly upstream: URL | string
  /** Name of the credential whose token calls of this route carry. */
  readonly credential: string
}

/** What /status tells of. */
export interface StatusFacts {
  readonly version: string
  /** Epoch ms. */
  readonly startedAt: number
  /** Epoch ms. */
  readonly now: number
  readonly readiness: Health
  readonly credentials: readonly CredentialStatus[]
  readonly routes: readonly RouteSummary[]
}

/** The document at /status; dashboards and the `status` command rely on its names. Instants are ISO 8601 in UTC. */
export interface StatusDocument {
  readonly version: string
  readonly ready: boolean
  /** Why it is not ready; null when it is. */
  readonly reason: string | null
  /** Whole seconds. */
  readonly uptime_s: number
  readonly credentials: readonly CredentialDocument[]
  readonly routes: readonly { name: string; prefix: string; upstream: string; credential: string }[]
}

export interface CredentialDocument {
  readonly name: string
  readonly state: CredentialState
  /** 0 before the first token. */
  readonly generation: number
  /** First 8 hex digits of the token's SHA-256; null without a token. */
  readonly fingerprint: string | null
  readonly minted_at: string | null
  /** Null without a token and for one that never expires. */
  readonly valid_till: string | null
  readonly next_refresh_at: string | null
  readonly last_error: {
    readonly code: string
    readonly at: string | null
    readonly error_id: string | null
  } | null
  readonly mints: {
    readonly total: number
    readonly failed: number
    readonly today: number
    readonly budget: number
  }
  readonly store: { readonly kind: string; readonly healthy: boolean }
}

/** Builds the document. Copies name by name, so that a field added to a snapshot is not published by accident. */
export function statusDocument(facts: StatusFacts): StatusDocument {
  return {
    version: facts.version,
    ready: facts.readiness.ok,
    reason: facts.readiness.reason,
    uptime_s: Math.max(0, Math.floor((facts.now - facts.startedAt) / 1000)),
    credentials: facts.credentials.map(credentialDocument),
    routes: facts.routes.map(({ name, prefix, upstream, credential }) => ({
      name,
      prefix,
      upstream: String(upstream),
      credential,
    })),
  }
}

function credentialDocument(credential: CredentialStatus): CredentialDocument {
  const { lastError, mints, store } = credential
  return {
    name: credential.name,
    state: credential.state,
    generation: credential.generation,
    fingerprint: credential.fingerprint,
    minted_at: isoInstant(credential.mintedAt),
    valid_till: isoInstant(credential.validTill),
    next_refresh_at: isoInstant(credential.nextRefreshAt),
    last_error:
      lastError === null
        ? null
        : { code: lastError.code, at: isoInstant(lastError.at), error_id: lastError.errorId },
    mints: { total: mints.total, failed: mints.failed, today: mints.today, budget: mints.budget },
    store: { kind: store.kind, healthy: store.healthy },
  }
}

/** Latest instant a Date can hold (ECMA-262, section 21.4.1.1); beyond it toISOString throws. */
const LAST_INSTANT_MS = 8.64e15

/** ISO 8601 in UTC; null for null and for what no calendar can show. */
export function isoInstant(epochMs: number | null): string | null {
  if (epochMs === null || !(Math.abs(epochMs) <= LAST_INSTANT_MS)) return null
  return new Date(epochMs).toISOString()
}
