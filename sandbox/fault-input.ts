import { LONGEST_DELAY_MS } from './clock.ts'
import type { Fault } from './faults.ts'
import type { GarbageKind } from './token-answers.ts'

/** A value of a control request that is not what the endpoint takes. The message is for whoever sent it. */
export class InputError extends Error {}

/** Checks one field; returns what it should have been, or null. */
type Check = (value: unknown) => string | null

interface Field {
  readonly check: Check
  readonly required: boolean
}

const garbageKinds: Record<GarbageKind, true> = {
  empty: true,
  html: true,
  'no-token': true,
  errors: true,
  'token-and-errors': true,
  'truncated-json': true,
  'truncated-body': true,
}

const delay: Check = (value) =>
  wholeBetween(value, 0, LONGEST_DELAY_MS) ? null : 'milliseconds, a whole number from 0'
const offset: Check = (value) =>
  typeof value === 'number' && Number.isFinite(value) ? null : 'milliseconds, a number'
const atLeastOne: Check = (value) =>
  wholeBetween(value, 1, LONGEST_DELAY_MS) ? null : 'a whole number from 1'
const status: Check = (value) => (wholeBetween(value, 200, 599) ? null : 'an HTTP status from 200 to 599')
const text: Check = (value) => (typeof value === 'string' && value !== '' ? null : 'a text')
const flag: Check = (value) => (typeof value === 'boolean' ? null : 'true or false')

const everyFault: Record<string, Field> = {
  api: may(text),
  kind: must(text),
  count: may(atLeastOne),
  forMs: may(atLeastOne),
}
const refuse: Record<string, Field> = { ...everyFault, count: may(() => 'left out: nobody gets in to count') }

const faults: Record<string, Record<string, Record<string, Field>>> = {
  token: {
    slow: { ms: must(delay) },
    'slow-answer': { ms: must(delay) },
    skew: { ms: must(offset) },
    'foreign-mint': {},
    status: { status: must(status), body: may(oneOf(['json', 'html', 'empty'])) },
    reset: {},
    'lose-answer': {},
    hang: { mints: must(flag) },
    garbage: { body: must(oneOf(Object.keys(garbageKinds))), mints: may(flag) },
    refuse,
  },
  business: {
    latency: { ms: must(delay) },
    'check-at-end': {},
    status: { status: must(status) },
    reset: {},
    reject: {},
    refuse,
  },
}

/** Reads a fault from JSON, as it comes over the control endpoint. Throws `InputError`. */
export function parseFault(input: unknown): Fault {
  const value = record(input)
  const kinds = own(faults, value['api'])
  if (kinds === undefined) throw new InputError(`api: should be one of ${Object.keys(faults).join(', ')}`)
  const particular = own(kinds, value['kind'])
  if (particular === undefined)
    throw new InputError(`kind: should be one of ${Object.keys(kinds).join(', ')}`)
  const scope = value['api'] === 'token' ? { client: may(text) } : { path: may(text) }
  const fields: Record<string, Field> = {
    ...everyFault,
    ...(particular === refuse ? {} : scope),
    ...particular,
  }
  checkFields(value, fields)
  // The table above is the type `Fault` as data; the compiler cannot see that, tests hold the two together.
  return value as unknown as Fault
}

/** The value as an object whose fields can be read. Throws `InputError`. */
export function record(input: unknown): Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new InputError('should be a JSON object')
  }
  return input as Record<string, unknown>
}

function checkFields(value: Record<string, unknown>, fields: Record<string, Field>): void {
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(fields, name)) {
      throw new InputError(`${name}: not a field here, which are ${Object.keys(fields).join(', ')}`)
    }
  }
  for (const [name, { check, required }] of Object.entries(fields)) {
    if (value[name] === undefined && !required) continue
    const should = check(value[name])
    if (should !== null) throw new InputError(`${name}: should be ${should}`)
  }
}

/** The entry of that name, if the name is one and not something every object has. */
function own<T>(entries: Record<string, T>, name: unknown): T | undefined {
  return typeof name === 'string' && Object.hasOwn(entries, name) ? entries[name] : undefined
}

function must(check: Check): Field {
  return { check, required: true }
}

function may(check: Check): Field {
  return { check, required: false }
}

function oneOf(values: readonly string[]): Check {
  return (value) =>
    typeof value === 'string' && values.includes(value) ? null : `one of ${values.join(', ')}`
}

function wholeBetween(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}
