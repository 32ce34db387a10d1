import { InputError, record } from './fault-input.ts'
import type { ClientSettings } from './issuer.ts'

/** What the control endpoint may say about a client; what is left out stays as it is, or takes the default. */
export type ClientInput = Pick<ClientSettings, 'name'> & Partial<Omit<ClientSettings, 'name'>>

/** Reads `{"name","secret","lifeMs","allowedIps"}`. Throws `InputError`. */
export function parseClient(input: unknown): ClientInput {
  const { name, secret, lifeMs, allowedIps, ...unknownFields } = record(input)
  const [unknownField] = Object.keys(unknownFields)
  if (unknownField !== undefined) throw new InputError(`${unknownField}: not a field here`)
  if (!isText(name)) throw new InputError('name: should be a text')
  if (secret !== undefined && !isText(secret)) throw new InputError('secret: should be a text')
  if (lifeMs !== undefined && !isLife(lifeMs)) throw new InputError('lifeMs: should be milliseconds or null')
  if (allowedIps !== undefined && !isIpList(allowedIps)) {
    throw new InputError('allowedIps: should be an array of addresses or null')
  }
  return {
    name,
    ...(secret === undefined ? {} : { secret }),
    ...(lifeMs === undefined ? {} : { lifeMs }),
    ...(allowedIps === undefined ? {} : { allowedIps }),
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isLife(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isFinite(value) && value > 0)
}

function isIpList(value: unknown): value is string[] | null {
  return value === null || (Array.isArray(value) && value.every(isText))
}
