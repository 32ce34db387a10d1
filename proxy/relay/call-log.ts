import type { RecordCall } from '../lib/call-line.ts'
import type { LogFields } from '../lib/log.ts'
import type { ForwarderOptions } from './forwarder.ts'
import { pathOf } from './path.ts'
import type { RelayContext } from './relay-context.ts'
import type { RequestHead } from './request-head.ts'

/** The access log: nothing, the calls that failed (a problem, or a 5xx of the upstream), or all. */
export function callRecorder(
  options: Pick<ForwarderOptions, 'accessLog'>,
  record: RecordCall | undefined,
): RelayContext['recordCall'] {
  if (options.accessLog === 'off' || record === undefined) return () => {}
  const logsAll = options.accessLog === 'all'
  return (head, route, status, durationMs, code, replayed) => {
    if (!logsAll && code === null && status < 500) return
    record({
      method: head === null ? null : head.method,
      route,
      path: head === null ? null : shownPath(head.target),
      status,
      durationMs,
      code,
      replayed,
      requestId: head === null ? null : head.requestId,
      traceId: head === null ? null : head.traceId,
    })
  }
}

/** What a log line about a fault says of the call it happened to. */
export function callFields(head: RequestHead): LogFields {
  return {
    method: head.method,
    path: shownPath(head.target),
    request_id: head.requestId ?? undefined,
    trace_id: head.traceId ?? undefined,
  }
}

/** A target that is no path is refused, and may hold a password; what follows `#` is as private as a query. */
function shownPath(target: string): string | null {
  return target.startsWith('/') ? (pathOf(target).split('#', 1)[0] as string) : null
}
