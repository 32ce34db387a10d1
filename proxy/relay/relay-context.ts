import type { Clock } from '../lib/clock.ts'
import type { ProblemCode } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Admission } from './admission.ts'
import type { TrafficCounters } from './counters.ts'
import type { Destination } from './destination.ts'
import type { ForwarderOptions, Route } from './forwarder.ts'
import type { ReplayMemory } from './replay-buffer.ts'
import type { RequestFields } from './request-fields.ts'
import type { RequestHead } from './request-head.ts'
import type { Ticker } from './timeouts.ts'

/** What all connections of one relay share. */
export interface RelayContext {
  readonly options: ForwarderOptions
  readonly clock: Clock
  readonly log: Log
  readonly counters: TrafficCounters
  readonly ticker: Ticker
  readonly admission: Admission
  readonly destinations: ReadonlyMap<Route, Destination>
  readonly requestFields: RequestFields
  readonly replayMemory: ReplayMemory
  /** New calls are answered with `shutting_down`. */
  isDraining: boolean
  /** Called, while draining, when no call is under way any more. */
  onIdle: (() => void) | null
  /** Leaves a line in the access log; `head` and `route` are null for what is not a call, or has no route. */
  recordCall(
    head: RequestHead | null,
    route: string | null,
    status: number,
    durationMs: number,
    code: ProblemCode | null,
    wasReplayed: boolean,
  ): void
}
