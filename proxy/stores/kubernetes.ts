import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from './entry.ts'
import {
  type KubernetesAccess,
  type KubernetesAnswer,
  KubernetesApi,
  KubernetesError,
} from './kubernetes-api.ts'
import { KubernetesWatch } from './kubernetes-watch.ts'
import { Outage } from './outage.ts'

export interface KubernetesMediumParts {
  readonly access: KubernetesAccess
  readonly namespace: string
  /** The Secret, created beforehand: the right to create cannot be limited to a name, so the sidecar does not have it. */
  readonly name: string
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly log: Log
}

interface Found {
  readonly entry: Entry
  readonly resourceVersion: string
}

/** A conflict means that somebody else got on; so many in a row mean that something is wrong. */
const MOST_CONFLICTS = 20
const POLL_MS = 5_000
const WATCHED_POLL_MS = 60_000
const CONFLICT = 409
/** `Date` has whole seconds: a smaller difference is no evidence of different clocks. */
const CLOCK_TOLERANCE_MS = 2_000

/**
 * Entries in one Kubernetes Secret, a key of `data` each. A change is a merge-patch with the `resourceVersion` that was read,
 * which the API server refuses (409) when somebody else changed the Secret since. Needs get, watch and patch on that one name.
 */
export class KubernetesMedium implements EntryMedium {
  readonly kind = 'kubernetes'
  readonly #clock: Clock
  readonly #api: KubernetesApi
  readonly #path: string
  readonly #watch: KubernetesWatch
  readonly #outage: Outage
  #clockOffsetMs = 0

  constructor(parts: KubernetesMediumParts) {
    const { access, clock, log } = parts
    this.#clock = clock
    this.#api = new KubernetesApi(access, clock)
    this.#path = `/api/v1/namespaces/${parts.namespace}/secrets/${parts.name}`
    this.#outage = new Outage(log, this.kind, 'store_connection_failed')
    const outage = new Outage(log, this.kind, 'store_watch_failed')
    this.#watch = new KubernetesWatch({ ...parts, api: this.#api, outage })
  }

  get clockOffsetMs(): number {
    return this.#clockOffsetMs
  }

  /** What a living watch does not tell did not happen; a thousand replicas asking every few seconds would burden the cluster. */
  get pollMs(): number {
    return this.#watch.isLive ? WATCHED_POLL_MS : POLL_MS
  }

  async read(key: string, signal: AbortSignal): Promise<Entry> {
    return (await this.#get(key, signal)).entry
  }

  async update(key: string, change: (entry: Entry) => Entry | null, signal: AbortSignal): Promise<Entry> {
    for (let conflicts = 0; conflicts < MOST_CONFLICTS; conflicts++) {
      const { entry, resourceVersion } = await this.#get(key, signal)
      const changed = change(entry)
      if (changed === null) return entry
      const data = { [key]: Buffer.from(JSON.stringify(changed)).toString('base64') }
      const body = { metadata: { resourceVersion }, data }
      if ((await this.#ask({ method: 'PATCH', path: this.#path, body, signal })) !== null) return changed
    }
    throw new Error('the Secret keeps changing')
  }

  /** One watch serves all entries: they are in one object. */
  watch(_key: string, changed: () => void): () => void {
    return this.#watch.add(changed)
  }

  async close(): Promise<void> {
    this.#watch.close()
    this.#api.close()
  }

  async #get(key: string, signal: AbortSignal): Promise<Found> {
    const sentAt = this.#clock.now()
    const answer = await this.#ask({ method: 'GET', path: this.#path, signal })
    const { metadata, data } = (answer?.json ?? {}) as SecretObject
    if (typeof metadata?.resourceVersion !== 'string') throw new Error('the answer is not a Secret')
    this.#compareClocks(Date.parse(answer?.date ?? ''), (sentAt + this.#clock.now()) / 2)
    return { entry: entryOf(data?.[key]), resourceVersion: metadata.resourceVersion }
  }

  /** Null for a conflict. */
  async #ask(request: Parameters<KubernetesApi['ask']>[0]): Promise<KubernetesAnswer | null> {
    try {
      const answer = await this.#api.ask(request)
      this.#outage.over()
      return answer
    } catch (error) {
      if (error instanceof KubernetesError && error.status === CONFLICT) return null
      if (!request.signal.aborted) this.#outage.failed(error)
      throw error
    }
  }

  #compareClocks(theirs: number, ours: number): void {
    // Cut to the second, so half a second more on average.
    const offset = theirs + 500 - ours
    if (Number.isNaN(offset)) return
    this.#clockOffsetMs = Math.abs(offset) <= CLOCK_TOLERANCE_MS ? 0 : Math.round(offset)
  }
}

interface SecretObject {
  readonly metadata?: { readonly resourceVersion?: string }
  readonly data?: Record<string, string>
}

function entryOf(base64: string | undefined): Entry {
  if (base64 === undefined) return emptyEntry
  try {
    return parseEntry(JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))) ?? emptyEntry
  } catch {
    return emptyEntry
  }
}
