import type { LogFields } from '../lib/log.ts'
import { Secret } from '../lib/secret.ts'

/** What is left of a value when it is safe to print. */
export type Printable = null | boolean | number | string | Printable[] | { [name: string]: Printable }

/** How much of one log line's fields is kept: a line stays below about 500 KiB whatever is passed in. */
const VALUES_LIMIT = 256
const TEXT_LIMIT_CHARS = 2048
const DEPTH_LIMIT = 5
const CAUSES_LIMIT = 8

/** Names whose text is hidden though it is not a `Secret`; only separators and case may differ: `x-cleartax-auth-token`, `clientSecret`. */
const SENSITIVE_NAME =
  /(secret|token|password|passphrase|authorization|cookie|(api|access|caller|private|sidecar)key)s?(value)?$/

/**
 * The fields of a log line as plain data. Secrets come out as `[redacted]`, by their type and, as a second line of
 * defence, by the name they are logged under; circular, oversized and unreadable values come out as a short mark.
 * Never throws. `stacks` adds the stack to errors.
 */
export function printableFields(fields: LogFields, stacks: boolean): { [name: string]: Printable } {
  const visit: Visit = { stacks, above: [], valuesLeft: VALUES_LIMIT }
  try {
    return members(fields, false, visit)
  } catch {
    return { fields: '[unreadable]' }
  }
}

interface Visit {
  readonly stacks: boolean
  /** Objects that contain the value at hand: meeting one of them again is a circle. */
  readonly above: object[]
  valuesLeft: number
}

/** `hidden` is inherited: what lies below a sensitive name is as secret as the name says. */
function printable(value: unknown, hidden: boolean, visit: Visit): Printable | undefined {
  if (visit.valuesLeft-- <= 0) return '[more]'
  switch (typeof value) {
    case 'string':
      return hidden ? '[redacted]' : shortened(value)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return String(value)
    case 'undefined':
      return undefined
    case 'object':
      return value === null ? null : printableObject(value, hidden, visit)
    default:
      return `[${typeof value}]`
  }
}

function printableObject(value: object, hidden: boolean, visit: Visit): Printable | undefined {
  try {
    if (value instanceof Secret) return '[redacted]'
    if (visit.above.includes(value)) return '[circular]'
    if (visit.above.length >= DEPTH_LIMIT) return '[deep]'
    if (value instanceof Error) return printableError(value, visit)
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
    // Credentials and query values of a URL are nobody's business in a log.
    if (value instanceof URL)
      return hidden ? '[redacted]' : `${value.protocol}//${value.host}${value.pathname}`
    visit.above.push(value)
    try {
      return contents(value, hidden, visit)
    } finally {
      visit.above.pop()
    }
  } catch {
    // A getter, a toJSON or a revoked Proxy threw.
    return '[unreadable]'
  }
}

function contents(value: object, hidden: boolean, visit: Visit): Printable | undefined {
  if (Array.isArray(value) || value instanceof Set) {
    return bounded(value, visit).map((item) => printable(item, hidden, visit) ?? null)
  }
  if (value instanceof Map) {
    return members(Object.fromEntries(bounded(value, visit)), hidden, visit)
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') return printable(value.toJSON(), hidden, visit)
  return members(value, hidden, visit)
}

/** `fromEntries` defines own properties, so a member called `__proto__` is data here and nothing more. */
function members(value: object, hidden: boolean, visit: Visit): { [name: string]: Printable } {
  const entries: [string, Printable][] = []
  for (const name of bounded(Object.keys(value), visit)) {
    const printed = member(value, name, hidden, visit)
    if (printed !== undefined) entries.push([shortened(name), printed])
  }
  return Object.fromEntries(entries)
}

function member(value: object, name: string, hidden: boolean, visit: Visit): Printable | undefined {
  try {
    return printable((value as Record<string, unknown>)[name], hidden || isSensitive(name), visit)
  } catch {
    return '[unreadable]'
  }
}

/** Only as many items as the line can still take, so that a huge collection costs no time either. */
function bounded<Item>(items: Iterable<Item>, visit: Visit): Item[] {
  const kept: Item[] = []
  for (const item of items) {
    if (kept.length > visit.valuesLeft) break
    kept.push(item)
  }
  return kept
}

/** Code and message say what happened, the codes below say why; a stack is for whoever debugs. */
function printableError(error: Error, visit: Visit): Printable {
  const causes = causeCodes(error)
  return {
    name: shortened(String(error.name)),
    ...(codeOf(error) === undefined ? {} : { code: codeOf(error) as string }),
    message: shortened(String(error.message)),
    ...(causes.length === 0 ? {} : { causes }),
    ...(visit.stacks && typeof error.stack === 'string' ? { stack: shortened(error.stack) } : {}),
  }
}

function causeCodes(error: Error): string[] {
  const codes: string[] = []
  let cause: unknown = error.cause
  while (cause instanceof Error && codes.length < CAUSES_LIMIT) {
    codes.push(codeOf(cause) ?? shortened(String(cause.name)))
    cause = cause.cause
  }
  return codes
}

function codeOf(error: Error): string | undefined {
  const code = (error as { readonly code?: unknown }).code
  return typeof code === 'string' || typeof code === 'number' ? shortened(String(code)) : undefined
}

function isSensitive(name: string): boolean {
  return SENSITIVE_NAME.test(name.replace(/[^a-zA-Z]/g, '').toLowerCase())
}

function shortened(text: string): string {
  return text.length <= TEXT_LIMIT_CHARS ? text : `${text.slice(0, TEXT_LIMIT_CHARS)}…`
}
