import type { Clock } from '../lib/clock.ts'
import { ExitError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Secret } from '../lib/secret.ts'
import type { EntryMedium } from './entry.ts'
import { FileMedium } from './file.ts'
import { MemoryMedium } from './memory.ts'

/** Which engine, and where. */
export type StoreChoice =
  | { readonly kind: 'memory' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'redis'; readonly url: Secret }
  | {
      readonly kind: 'kubernetes'
      readonly namespace: string | null
      readonly name: string
      readonly apiServer: string | null
    }

export interface OpenParts {
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly log: Log
  /** Names this process among those that share the store. */
  readonly id: string
  readonly readFile: (path: string) => Promise<string>
}

/** Where Kubernetes mounts what a pod needs to speak with the API server. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * The only switch on the engine's name; engines with weight of their own are loaded when chosen. Rejects with `ExitError`
 * `config_invalid` when the place is not there at all, not when it cannot be reached right now.
 */
export async function openMedium(choice: StoreChoice, parts: OpenParts): Promise<EntryMedium> {
  switch (choice.kind) {
    case 'memory':
      return new MemoryMedium()
    case 'file':
      return new FileMedium({ path: choice.path, ...parts })
    case 'redis': {
      const { RedisMedium } = await import('./redis.ts')
      return new RedisMedium({ url: choice.url, ...parts })
    }
    case 'kubernetes':
      return openKubernetes(choice, parts)
  }
}

async function openKubernetes(
  { namespace, name, apiServer }: Extract<StoreChoice, { kind: 'kubernetes' }>,
  parts: OpenParts,
): Promise<EntryMedium> {
  if (apiServer === null) {
    throw new ExitError(
      'config_invalid',
      'TOKEN_STORE: kubernetes: works in a pod (KUBERNETES_SERVICE_HOST is not set)',
    )
  }
  const { KubernetesMedium } = await import('./kubernetes.ts')
  const mounted = async (file: string) => {
    try {
      return (await parts.readFile(`${SERVICE_ACCOUNT}/${file}`)).trim()
    } catch (error) {
      const why = `TOKEN_STORE: kubernetes: needs the service account volume, but ${SERVICE_ACCOUNT}/${file} cannot be read`
      throw new ExitError('config_invalid', why, error)
    }
  }
  return new KubernetesMedium({
    ...parts,
    access: { apiUrl: new URL(apiServer), ca: await mounted('ca.crt'), readToken: () => mounted('token') },
    namespace: namespace ?? (await mounted('namespace')),
    name,
  })
}
