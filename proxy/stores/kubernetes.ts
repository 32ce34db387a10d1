import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from './entry.ts'
import { type KubernetesAccess, KubernetesApi, KubernetesError } from './kubernetes-api.ts'

export interface KubernetesMediumParts {
  readonly access: KubernetesAccess
  readonly namespace: string
  /** The Secret, created beforehand: the right to create cannot be limited to a name, so the sidecar does not have it. */
  readonly name: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

interface Found {
  readonly entry: Entry
  readonly resourceVersion: string
}

const MOST_CONFLICTS = 20
const WATCH_SECONDS = 300
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
/** `Date` has whole seconds: a smaller difference is no evidence of different clocks. */
const CLOCK_TOLERANCE_MS = 2_000

/**
 * Entries in one Kubernetes Secret, a key of `data` each. A change is a merge-patch with the `resourceVersion` that was read,
 * which the API server refuses (409) when somebody else changed the Secret since. Needs get, watch and patch on that one name.
 */
export class KubernetesMedium implements EntryMedium {
  readonly kind = 'kubernetes'
  readonly #parts: KubernetesMediumParts
  readonly #api: KubernetesApi
  readonly #path: string
  readonly #watchers = new Set<() => void>()
  #watching: AbortController | null = null
  #clockOffsetMs = 0

  constructor(parts: KubernetesMediumParts) {
    this.#parts = parts
    this.#api = new KubernetesApi(parts.access, parts.clock)
    this.#path = `/api/v1/namespaces/${parts.namespace}/secrets/${parts.name}`
  }

  get clockOffsetMs(): number {
    return this.#clockOffsetMs
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
      try {
        await this.#api.ask({
          method: 'PATCH',
          path: this.#path,
          body: { metadata: { resourceVersion }, data },
          signal,
        })
        return changed
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.status !== 409) throw error
      }
    }
    throw new Error('the Secret keeps changing')
  }

  /** One watch serves all entries: they are in one object. */
  watch(_key: string, changed: () => void): () => void {
    this.#watchers.add(changed)
    if (this.#watching === null) {
      this.#watching = new AbortController()
      void this.#watch(this.#watching.signal)
    }
    return () => {
      this.#watchers.delete(changed)
      if (this.#watchers.size > 0) return
      this.#watching?.abort()
      this.#watching = null
    }
  }

  async close(): Promise<void> {
    this.#watchers.clear()
    this.#watching?.abort()
    this.#watching = null
    this.#api.close()
  }

  async #get(key: string, signal: AbortSignal): Promise<Found> {
    const { clock } = this.#parts
    const sentAt = clock.now()
    const { json, date } = await this.#api.ask({ method: 'GET', path: this.#path, signal })
    if (date !== undefined) {
      const offset = Date.parse(date) + 500 - (sentAt + clock.now()) / 2
      this.#clockOffsetMs = Math.abs(offset) <= CLOCK_TOLERANCE_MS ? 0 : Math.round(offset)
    }
    const { metadata, data } = json as {
      metadata: { resourceVersion: string }
      data?: Record<string, string>
    }
    return { entry: entryOf(data?.[key]), resourceVersion: metadata.resourceVersion }
  }

  /** Watches until told to stop; whatever ends a watch, another follows after a pause that grows while they fail. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, log, random } = this.#parts
    let pauseMs = FIRST_PAUSE_MS
    let resourceVersion = ''
    while (!signal.aborted) {
      try {
        for await (const event of this.#api.watch(this.#watchPath(resourceVersion), signal)) {
          const { type, object } = event as WatchEvent
          if (type === 'ERROR') throw new KubernetesError(object.code ?? 0, 'the watch')
          resourceVersion = object.metadata?.resourceVersion ?? resourceVersion
          pauseMs = FIRST_PAUSE_MS
          if (type !== 'BOOKMARK') for (const changed of this.#watchers) changed()
        }
      } catch (error) {
        if (signal.aborted) return
        // 410: the version we asked from is gone from the server's memory. Without one, it begins with what is there now.
        resourceVersion = ''
        log.debug('store_watch_failed', { store: this.kind, error })
      }
      await clock.sleep(pauseMs * (0.5 + random()), signal).catch(() => {})
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    }
  }

  #watchPath(resourceVersion: string): string {
    const { namespace, name, random } = this.#parts
    const query = new URLSearchParams({
      watch: 'true',
      // RBAC allows a watch of one name only when the selector asks for exactly that name.
      fieldSelector: `metadata.name=${name}`,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(WATCH_SECONDS + Math.floor(60 * random())),
    })
    if (resourceVersion !== '') query.set('resourceVersion', resourceVersion)
    return `/api/v1/namespaces/${namespace}/secrets?${query}`
  }
}

interface WatchEvent {
  readonly type: string
  readonly object: { readonly metadata?: { readonly resourceVersion?: string }; readonly code?: number }
}

function entryOf(base64: string | undefined): Entry {
  if (base64 === undefined) return emptyEntry
  try {
    return parseEntry(JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))) ?? emptyEntry
  } catch {
    return emptyEntry
  }
}
