import type { HeldToken } from './source.ts'

/** A call that waits for a token. */
export interface WaitingCall {
  readonly replayable: boolean
  readonly isReplay: boolean
  /** The token it was rejected with; null when it has not been sent yet. */
  readonly rejected: HeldToken | null
  /** Monotonic ms. */
  readonly deadline: number
}

/** What becomes of a waiting call; null = it goes on waiting. `token: null` = pass the rejection on. */
export type Verdict = { readonly token: HeldToken | null } | { readonly error: Error } | null

interface Entry extends WaitingCall {
  readonly settle: (verdict: Exclude<Verdict, null>) => void
}

/** The calls that wait for a token of one credential. Each leaves at its verdict, or when its caller leaves. */
export class WaitingCalls {
  readonly #entries = new Set<Entry>()

  get size(): number {
    return this.#entries.size
  }

  /** Rejects with the signal's reason when that aborts; the others are not touched by it. */
  add(call: WaitingCall, signal: AbortSignal): Promise<HeldToken | null> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const onAbort = () => {
        this.#entries.delete(entry)
        reject(signal.reason)
      }
      const entry: Entry = {
        ...call,
        settle: (verdict) => {
          this.#entries.delete(entry)
          signal.removeEventListener('abort', onAbort)
          if ('error' in verdict) reject(verdict.error)
          else resolve(verdict.token)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#entries.add(entry)
    })
  }

  /** Asks `judge` about each call, in the order they came. */
  settle(judge: (call: WaitingCall) => Verdict): void {
    for (const entry of this.#entries) {
      const verdict = judge(entry)
      if (verdict !== null) entry.settle(verdict)
    }
  }

  /** The earliest deadline, monotonic ms; `Infinity` when nobody waits. All wait equally long, so it is the first call's. */
  nextDeadline(): number {
    for (const { deadline } of this.#entries) return deadline
    return Number.POSITIVE_INFINITY
  }
}
