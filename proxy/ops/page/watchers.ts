import type { Response } from 'express'
import type { Part } from './parts.ts'

/** More pages than one team looks at; a bound, so that they cannot take up the ops address. */
export const MOST_WATCHERS = 16

/** Events a page may miss in a row, a minute's worth: one whose machine has gone gives its place to others. */
export const MOST_MISSED = 60

/** How long a browser waits before it connects again, ms. */
const RETRY_MS = 2_000

interface Watcher {
  readonly response: Response
  /** It is new, or has missed events: it gets every part. */
  isBehind: boolean
  /** Events in a row that it was not ready to take. */
  missed: number
}

/**
 * The pages that are open, by server-sent events (HTML Living Standard, section 9.2). Each event carries the parts that have
 * changed since the last one; a page that reads too slowly is left out, and gets all parts once it reads again.
 */
export class Watchers {
  readonly #watchers = new Set<Watcher>()
  #sent: ReadonlyMap<string, string> = new Map()

  get size(): number {
    return this.#watchers.size
  }

  get isFull(): boolean {
    return this.#watchers.size >= MOST_WATCHERS
  }

  /** Begins the answer; `left` is called when it has ended, whoever ended it. */
  add(response: Response, left: () => void): void {
    const watcher = { response, isBehind: true, missed: 0 }
    this.#watchers.add(watcher)
    response.once('close', () => {
      this.#watchers.delete(watcher)
      left()
    })
    // A proxy in between is not to collect events (nginx knows the field).
    response.set({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' }).flushHeaders()
    response.write(`retry: ${RETRY_MS}\n\n`)
  }

  /** Sends what has changed. There is something each second, if only the time: that is the heartbeat as well. */
  send(edition: string, parts: readonly Part[]): void {
    const present = new Map(parts.map(({ id, html }) => [id, html.text]))
    const changed = [...present].filter(([id, text]) => this.#sent.get(id) !== text)
    this.#sent = present
    const news = event(edition, changed)
    // Made once for all that need it.
    let whole: string | null = null
    for (const watcher of this.#watchers) {
      const { response } = watcher
      if (response.writableNeedDrain) {
        watcher.isBehind = true
        if (++watcher.missed >= MOST_MISSED) response.destroy()
        continue
      }
      if (watcher.isBehind) whole ??= event(edition, [...present])
      response.write(watcher.isBehind && whole !== null ? whole : news)
      watcher.isBehind = false
      watcher.missed = 0
    }
  }

  /** Ends every stream, so that none holds up the end of the listener. */
  close(): void {
    for (const { response } of this.#watchers) response.end()
  }
}

/** JSON has no line breaks, so it is one line of data. */
function event(edition: string, parts: readonly (readonly [string, string])[]): string {
  return `event: parts\ndata: ${JSON.stringify({ edition, parts: Object.fromEntries(parts) })}\n\n`
}
