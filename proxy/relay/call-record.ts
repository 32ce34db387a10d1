import type { ProblemCode } from '../lib/errors.ts'
import type { Destination } from './destination.ts'
import type { RelayContext } from './relay-context.ts'
import type { RequestHead } from './request-head.ts'

/** Books one call after the other: counters and access log. */
export class CallRecord {
  readonly #context: RelayContext
  readonly #head: RequestHead
  #startedAt = 0

  constructor(context: RelayContext, head: RequestHead) {
    this.#context = context
    this.#head = head
  }

  begin(): void {
    this.#startedAt = this.#context.clock.monotonic()
    this.#context.counters.inFlight++
  }

  /** `status` null: nobody was left to answer. */
  end(destination: Destination, status: number | null, code: ProblemCode | null, wasReplayed: boolean): void {
    const { counters, clock } = this.#context
    counters.inFlight--
    if (counters.inFlight === 0) this.#context.onIdle?.()
    if (status === null) return
    const durationMs = clock.monotonic() - this.#startedAt
    destination.counters.answered(methodLabel(this.#head.method), status, durationMs / 1000)
    this.#context.recordCall(this.#head, destination.route.name, status, durationMs, code, wasReplayed)
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

const methodLabel = (method: string): string => (METHODS.has(method) ? method : 'OTHER')
