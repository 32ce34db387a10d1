import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { type KubernetesApi, KubernetesError } from './kubernetes-api.ts'
import type { Outage } from './outage.ts'

export interface KubernetesWatchParts {
  readonly api: KubernetesApi
  readonly namespace: string
  /** Of the Secret. */
  readonly name: string
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly log: Log
  readonly outage: Outage
}

const WATCH_SECONDS = 300
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
/** Bookmarks come about each minute. A connection that brings nothing for much longer may be dead without knowing it. */
const LONGEST_SILENCE_MS = 100_000
const GONE = 410

/** Watches one Secret for as long as anybody wants to know. */
export class KubernetesWatch {
  readonly #parts: KubernetesWatchParts
  readonly #watchers = new Set<() => void>()
  #running: AbortController | null = null
  #closed = false
  #isLive = false

  constructor(parts: KubernetesWatchParts) {
    this.#parts = parts
  }

  /** The server has begun to tell, and has not ended or broken the watch since. */
  get isLive(): boolean {
    return this.#isLive
  }

  /** Calls `changed` at each change, and once whenever a watch began without knowing what came before. */
  add(changed: () => void): () => void {
    if (this.#closed) return () => {}
    // The same function may be added twice, and each is ended by itself.
    const watcher = () => changed()
    this.#watchers.add(watcher)
    if (this.#running === null) {
      this.#running = new AbortController()
      void this.#run(this.#running.signal)
    }
    return () => {
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#stop()
    }
  }

  close(): void {
    this.#closed = true
    this.#watchers.clear()
    this.#stop()
  }

  #stop(): void {
    this.#running?.abort()
    this.#running = null
  }

  /** Whatever ends a watch, another follows after a pause that grows while they fail. */
  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random, outage, log } = this.#parts
    let pauseMs = FIRST_PAUSE_MS
    let resourceVersion = ''
    while (!signal.aborted) {
      try {
        await this.#follow(resourceVersion, signal, (reached) => {
          resourceVersion = reached
          pauseMs = FIRST_PAUSE_MS
          outage.over()
        })
      } catch (error) {
        if (signal.aborted) return
        // Without a version a watch begins with what is there now: nothing that came in between is missed.
        resourceVersion = ''
        const usual = error instanceof Silence || (error instanceof KubernetesError && error.status === GONE)
        if (usual) log.debug('store_watch_ended', { error })
        else outage.failed(error)
      }
      await clock.sleep(pauseMs * (0.5 + random()), signal).catch(() => {})
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
    }
  }

  /** One watch, until the server ends it. Rejects when it breaks, is refused or falls silent. */
  async #follow(from: string, signal: AbortSignal, reached: (version: string) => void): Promise<void> {
    const { api, clock } = this.#parts
    const silent = new AbortController()
    const onSilence = () => silent.abort(new Silence(`no event and no bookmark in ${LONGEST_SILENCE_MS} ms`))
    let cancel = clock.after(LONGEST_SILENCE_MS, onSilence)
    try {
      for await (const event of api.watch(this.#path(from), AbortSignal.any([signal, silent.signal]))) {
        cancel()
        cancel = clock.after(LONGEST_SILENCE_MS, onSilence)
        const { type, object } = event as WatchEvent
        if (type === 'ERROR') throw new KubernetesError(object.code ?? 0, 'the watch')
        this.#isLive = true
        reached(object.metadata?.resourceVersion ?? from)
        if (type !== 'BOOKMARK') for (const changed of [...this.#watchers]) changed()
      }
    } catch (error) {
      throw silent.signal.aborted ? silent.signal.reason : error
    } finally {
      this.#isLive = false
      cancel()
    }
  }

  #path(resourceVersion: string): string {
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

class Silence extends Error {}
