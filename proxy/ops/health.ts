import type { CredentialStatus } from '../token/status.ts'

/** Answer of a probe. `reason` is a sentence for whoever reads the event in Kubernetes; null when all is well. */
export interface Health {
  readonly ok: boolean
  readonly reason: string | null
}

/** What readiness depends on. */
export interface Readiness {
  /** Configuration is read and the listeners are open. */
  readonly started: boolean
  readonly draining: boolean
  readonly credentials: readonly CredentialStatus[]
}

const OK: Health = { ok: true, reason: null }

/**
 * Liveness: failing it gets the container killed, so it depends on nothing but an event loop that answers. In particular
 * not on the token API: a restart mends no outage there, and each one could cost a mint.
 */
export function liveness(): Health {
  return OK
}

/** Startup: failing it holds back the containers that start after this one. It does not wait for a token. */
export function startup(started: boolean): Health {
  return started ? OK : { ok: false, reason: 'starting: the listeners are not open yet' }
}

/** Readiness: failing it takes the pod out of its Services, never restarts it. Names every credential without a usable token. */
export function readiness({ started, draining, credentials }: Readiness): Health {
  if (draining) return { ok: false, reason: 'draining: calls under way are finishing, new ones are refused' }
  if (!started) return startup(started)
  const missing = credentials.filter((credential) => !credential.usable).map(lacking)
  return missing.length === 0 ? OK : { ok: false, reason: missing.join('; ') }
}

function lacking({ name, state, lastError, store }: CredentialStatus): string {
  const last = lastError === null ? '' : `, last error ${lastError.code}`
  // Then nothing is minted, so there may be no error of a mint to tell.
  const unhealthy = store.healthy ? '' : `, the token store (${store.kind}) does not work`
  return `no usable token for credential ${name}: ${state}${last}${unhealthy}`
}
