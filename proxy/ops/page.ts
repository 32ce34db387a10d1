import type { Response } from 'express'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { TrafficCounters } from '../relay/counters.ts'
import type { CredentialStatus } from '../token/status.ts'
import type { LivePage } from './page/live-page.ts'
import type { RouteSummary } from './status.ts'
import { TrafficHistory } from './traffic-history.ts'

/** What the status page shows; everything is asked for when somebody looks. */
export interface PageDeps {
  readonly version: string
  readonly clock: Clock
  /** Epoch ms. */
  readonly startedAt: number
  readonly routes: readonly RouteSummary[]
  readonly counters: TrafficCounters
  readonly lifecycle: { started(): boolean; draining(): boolean }
  credentials(): readonly CredentialStatus[]
  /** Calls back whenever a credential may have changed, which can be often. */
  observe(changed: () => void): Cancel
}

/**
 * The status page for people. Its text, style and script are loaded when somebody first asks: a sidecar that nobody looks at
 * pays for the history of its traffic and for nothing else.
 */
export class StatusPage {
  readonly #deps: PageDeps
  readonly #history: TrafficHistory
  #loading: Promise<LivePage> | null = null
  #page: LivePage | null = null
  #isClosed = false

  constructor(deps: PageDeps) {
    this.#deps = deps
    this.#history = new TrafficHistory(deps.counters, deps.clock)
  }

  /** Answers with the page. */
  async show(response: Response): Promise<void> {
    const page = await this.#load()
    page.show(response)
  }

  /** Answers with the events that keep it up to date. */
  async watch(response: Response): Promise<void> {
    const page = await this.#load()
    if (response.destroyed) return
    page.watch(response)
    if (this.#isClosed) page.close()
  }

  /** To be called each second. */
  tick(): void {
    this.#history.tick()
    this.#page?.tick()
  }

  /** Ends the events of every page that is open. */
  close(): void {
    this.#isClosed = true
    this.#page?.close()
  }

  async #load(): Promise<LivePage> {
    this.#loading ??= import('./page/live-page.ts').then(
      (module) => new module.LivePage(this.#deps, this.#history),
    )
    this.#page = await this.#loading
    return this.#page
  }
}
