import type { Clock } from '../lib/clock.ts'
import type { ProblemCode } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Admission } from './admission.ts'
import type { TrafficCounters } from './counters.ts'
import type { Destination } from './destination.ts'
import type { ForwarderOptions, Route } from './forwarder.ts'
import { pathOf } from './path.ts'
import type { ReplayMemory } from './replay-buffer.ts'
import type { RequestFields, RequestHead } from './request-head.ts'
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

/** The access log: nothing, the calls that failed (a problem, or a 5xx of the upstream), or all. Never a query or a field. */
export function callRecorder(options: ForwarderOptions, log: Log): RelayContext['recordCall'] {
  if (options.accessLog === 'off') return () => {}
  const logsAll = options.accessLog === 'all'
  return (head, route, status, durationMs, code, replayed) => {
    if (!logsAll && code === null && status < 500) return
    log.info('call', {
      method: head === null ? null : head.method,
      route,
      path: head === null ? null : shownPath(head.target),
      status,
      duration_ms: Math.round(durationMs * 1000) / 1000,
      code,
      replayed,
    })
  }
}

/** A target that is no path is refused, and may hold a password; what follows `#` is as private as a query. */
function shownPath(target: string): string | null {
  return target.startsWith('/') ? (pathOf(target).split('#', 1)[0] as string) : null
}
