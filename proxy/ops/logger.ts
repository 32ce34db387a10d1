import { Writable } from 'node:stream'
import { createLogger as createWinston, format, transports } from 'winston'
import { adviceFor } from '../lib/advice.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log, LogFields } from '../lib/log.ts'
import { jsonLine, type LogEvent, type LogLevel, prettyLine } from './log-line.ts'

/** What and how to log. */
export interface LoggerOptions {
  /** The least important level that is written. */
  readonly level: LogLevel
  /** `json`: one object a line, for machines. `pretty`: aligned, for people. */
  readonly format: 'json' | 'pretty'
  /** Takes one whole line, its line end included, before the logging call returns. `lineWriter` makes one for a stream. */
  readonly write: (line: string) => void
  /** Whether the stream is a terminal that shows colours; `pretty` only. Default false. */
  readonly colour?: boolean
  /** Wall clock, epoch ms. Default: the system's. */
  readonly now?: () => number
}

const LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3 }

/**
 * A log of named events. Its methods never throw and never wait, whatever the fields hold and whatever `write` does:
 * a line that cannot be written is lost. Errors carry their stack at level `debug` only.
 */
export function createLogger(options: LoggerOptions): Log {
  const now = options.now ?? systemClock.now
  const winston = createWinston({
    level: options.level,
    levels: LEVELS,
    format: format.printf((info) => lineOf(info['occurrence'] as LogEvent, options)),
    transports: [new transports.Stream({ stream: writableOf(options.write), eol: '\n' })],
  })
  // Without a listener an 'error' event would end the process, and there is nowhere left to report it.
  winston.on('error', () => {})

  const method = (level: LogLevel) => {
    // A level that is off costs a call and nothing else.
    if (LEVELS[level] > LEVELS[options.level]) return () => {}
    return (event: string, fields: LogFields = {}): void => {
      try {
        const help = level === 'warn' || level === 'error' ? helpWith(event, fields) : undefined
        const occurrence: LogEvent = { time: now(), level, event, fields, help }
        winston.log({ level, message: event, occurrence })
      } catch {
        // A log line is never worth the call that wanted to write it.
      }
    }
  }
  return { debug: method('debug'), info: method('info'), warn: method('warn'), error: method('error') }
}

/** A line as the log would have it, line end included. */
export function eventLine(occurrence: LogEvent, options: LineOptions): string {
  return `${lineOf({ ...occurrence, help: helpWith(occurrence.event, occurrence.fields) }, options)}\n`
}

/** A code says more than the event it came with. */
function helpWith(event: string, fields: LogFields): string | undefined {
  try {
    const { code } = fields
    return ((typeof code === 'string' ? adviceFor(code) : null) ?? adviceFor(event))?.help
  } catch {
    return undefined
  }
}

type LineOptions = Pick<LoggerOptions, 'level' | 'format' | 'colour'>

function lineOf(occurrence: LogEvent, options: LineOptions): string {
  const stacks = options.level === 'debug'
  return options.format === 'json'
    ? jsonLine(occurrence, stacks)
    : prettyLine(occurrence, stacks, options.colour ?? false)
}

/** The stream winston asks for. It reports success always: a stream that failed once would swallow every later line. */
function writableOf(write: (line: string) => void): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      try {
        write(line)
      } catch {
        // Lost, as promised above.
      }
      done()
    },
  })
}
