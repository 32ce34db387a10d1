import type { LogFields } from '../lib/log.ts'
import { type Printable, printableFields } from './log-fields.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One thing that happened. */
export interface LogEvent {
  /** Epoch ms. */
  readonly time: number
  readonly level: LogLevel
  readonly event: string
  readonly fields: LogFields
  /** Where it is written what to do about it. */
  readonly help?: string | undefined
}

/** Names that belong to the line itself; a field of the same name gets an underscore. */
const OWN_NAMES = new Set(['time', 'level', 'event', 'help'])

/** `{"time":"2030-01-01T00:00:00.000Z","level":"info","event":"token_minted","generation":7}`, without a line end. */
export function jsonLine({ time, level, event, fields, help }: LogEvent, stacks: boolean): string {
  const printed = Object.entries(printableFields(fields, stacks)).map(([name, value]) => [
    OWN_NAMES.has(name) ? `${name}_` : name,
    value,
  ])
  return JSON.stringify({ time: instant(time), level, event, ...Object.fromEntries(printed), help })
}

/** `00:00:00.000 INFO  token_minted              generation=7`, for people; the time is UTC. Without a line end. */
export function prettyLine(
  { time, level, event, fields, help }: LogEvent,
  stacks: boolean,
  colour: boolean,
): string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const pairs: string[] = []
  const stackLines: string[] = []
  for (const [name, value] of Object.entries(printableFields(fields, stacks))) {
    const [shown, stack] = withoutStack(value)
    pairs.push(`${paint(DIM, `${plain(name)}=`)}${plain(shown)}`)
    for (const line of stack) stackLines.push(`\n    ${paint(DIM, escaped(line.trim()))}`)
  }
  if (help !== undefined) pairs.push(paint(DIM, `help=${help}`))
  const head = [
    paint(DIM, instant(time).slice('2030-01-01T'.length, -1)),
    paint(COLOURS[level], level.toUpperCase().padEnd(5)),
    pairs.length === 0 ? escaped(event) : escaped(event).padEnd(EVENT_WIDTH),
  ]
  return [...head, ...pairs].join(' ') + stackLines.join('')
}

const DIM = 2
const COLOURS: Record<LogLevel, number> = { debug: 35, info: 32, warn: 33, error: 31 }
const EVENT_WIDTH = 24

function instant(time: number): string {
  return new Date(time).toISOString()
}

/** People read a stack below its line, not as one string full of `\n`. */
function withoutStack(value: Printable): [Printable, string[]] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [value, []]
  const { stack, ...rest } = value
  return typeof stack === 'string' ? [rest, stack.split('\n').slice(1)] : [value, []]
}

/** A value as one word: anything with spaces, quotes or control characters is quoted, so no value can forge a line. */
function plain(value: Printable): string {
  if (typeof value === 'string')
    return /^[\w.:/@+[\]-]+$/.test(value) ? value : escaped(JSON.stringify(value))
  return escaped(JSON.stringify(value))
}

/** JSON leaves DEL and the C1 controls as they are, and some terminals obey those. */
function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (found) => {
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
