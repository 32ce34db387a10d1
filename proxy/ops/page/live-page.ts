import { createHash } from 'node:crypto'
import type { Response } from 'express'
import type { Cancel } from '../../lib/clock.ts'
import { readiness } from '../health.ts'
import type { PageDeps } from '../page.ts'
import { sendProblem } from '../problem.ts'
import type { TrafficHistory } from '../traffic-history.ts'
import { assets } from './assets.ts'
import { pageDocument } from './document.ts'
import type { PageFacts } from './facts.ts'
import { parts } from './parts.ts'
import { MOST_WATCHERS, Watchers } from './watchers.ts'

/** News of a credential come in bursts: a rotation is half a dozen of them, rejected calls are one each. */
const GATHER_MS = 30
const LEAST_PAUSE_MS = 200

/** The page and the stream that keeps it up to date. Without a reader it does nothing. */
export class LivePage {
  readonly #deps: PageDeps
  readonly #history: TrafficHistory
  readonly #watchers = new Watchers()
  readonly #policy: string
  /** A page of another edition loads itself anew. */
  readonly #edition: string
  #unobserve: Cancel | null = null
  #cancelSend: Cancel | null = null
  #sentAt = Number.NEGATIVE_INFINITY

  constructor(deps: PageDeps, history: TrafficHistory) {
    this.#deps = deps
    this.#history = history
    const { style, script } = assets
    // The whole of what a browser may do here: show this text, run this script, ask this address, draw the sign in its tab.
    this.#policy = [
      "default-src 'none'",
      `style-src '${hashOf(style)}'`,
      `script-src '${hashOf(script)}'`,
      "connect-src 'self'",
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; ')
    const names = deps.credentials().map(({ name }) => name)
    this.#edition = hashOf(JSON.stringify([deps.version, style, script, names])).slice(-12)
  }

  show(response: Response): void {
    response.set('content-security-policy', this.#policy)
    response.type('html').send(pageDocument(this.#facts(), assets, this.#edition))
  }

  /** Answers with a stream of events that ends when either side has had enough. */
  watch(response: Response): void {
    if (this.#watchers.isFull) {
      response.set('retry-after', '5')
      sendProblem(response, {
        status: 503,
        code: 'too_many_watchers',
        detail: `${MOST_WATCHERS} pages are open already; the page without live updates works.`,
      })
      return
    }
    this.#watchers.add(response, () => this.#left())
    this.#unobserve ??= this.#deps.observe(() => this.#soon())
    this.#send()
  }

  /** To be called each second. */
  tick(): void {
    if (this.#watchers.size > 0) this.#send()
  }

  close(): void {
    this.#watchers.close()
  }

  #left(): void {
    if (this.#watchers.size > 0) return
    this.#unobserve?.()
    this.#unobserve = null
    this.#cancelSend?.()
    this.#cancelSend = null
  }

  /** A rotation lasts a few hundred milliseconds: who watches wants to see it. */
  #soon(): void {
    if (this.#cancelSend !== null) return
    const { clock } = this.#deps
    const delayMs = Math.max(GATHER_MS, this.#sentAt + LEAST_PAUSE_MS - clock.monotonic())
    this.#cancelSend = clock.after(delayMs, () => this.#send())
  }

  #send(): void {
    this.#cancelSend?.()
    this.#cancelSend = null
    this.#sentAt = this.#deps.clock.monotonic()
    this.#watchers.send(this.#edition, parts(this.#facts()))
  }

  #facts(): PageFacts {
    const { version, startedAt, clock, lifecycle, routes, counters } = this.#deps
    const credentials = this.#deps.credentials()
    const draining = lifecycle.draining()
    return {
      version,
      startedAt,
      now: clock.now(),
      readiness: readiness({ started: lifecycle.started(), draining, credentials }),
      draining,
      credentials,
      routes,
      counters,
      readings: this.#history.readings(),
      lastSeen: this.#history.lastSeen(),
    }
  }
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
