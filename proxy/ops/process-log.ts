import type { RecordCall } from '../lib/call-line.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { jsonCallLine, prettyCallLine } from './call-lines.ts'
import type { LogLevel } from './log-line.ts'
import { LogOutput } from './log-output.ts'
import { createLogger, eventLine } from './logger.ts'

export interface ProcessLogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  /** Takes text for the reader of the log; false: it was dropped. */
  readonly write: (text: string) => boolean
  /** Whether the reader is a terminal that shows colours; `pretty` only. */
  readonly colour: boolean
  readonly clock: Pick<Clock, 'now' | 'after'>
}

/** The log of the process: events, and calls on a way of their own. */
export interface ProcessLog {
  readonly log: Log
  readonly recordCall: RecordCall
  /** Writes what still waits. */
  flush(): void
}

export function createProcessLog(options: ProcessLogOptions): ProcessLog {
  const { level, format, write, colour, clock } = options
  const output = new LogOutput({
    write,
    clock,
    droppedLine: (lines) =>
      eventLine({ time: clock.now(), level: 'warn', event: 'log_lines_dropped', fields: { lines } }, options),
  })
  const log = createLogger({ ...options, write: (line) => output.write(line), now: clock.now })
  const lineOf: (...call: Parameters<typeof jsonCallLine>) => string =
    format === 'json' ? jsonCallLine : (call, time) => prettyCallLine(call, time, colour)
  const tellsCalls = level === 'info' || level === 'debug'
  return {
    log,
    recordCall: tellsCalls ? (call) => output.add(lineOf(call, clock.now())) : () => {},
    flush: () => output.flush(),
  }
}
