import { Secret } from '../lib/secret.ts'

/** What a 200 of the token API says. */
export interface TokenAnswer {
  readonly value: Secret
  /** Epoch ms on the token API's clock; null = never expires. */
  readonly validTill: number | null
  /** `valid_till` was there but could not be read: the token is used, and never refreshed by time. */
  readonly validTillUnreadable: boolean
}

const MAX_TOKEN_LENGTH = 4_096

/**
 * Reads the body of a 200, lenient about fields: `access_token` or, as one region's pages spell it, `access-token`.
 * Null when there is no token in it that could be sent in a header: then nobody knows what the request did.
 */
export function readTokenAnswer(body: string): TokenAnswer | null {
  const json = parseObject(body)
  if (json === null || (Array.isArray(json['errors']) && json['errors'].length > 0)) return null
  const value = json['access_token'] ?? json['access-token']
  // Documented as at most 256 characters; opaque, so only what could break a header field is refused.
  if (typeof value !== 'string' || value.length > MAX_TOKEN_LENGTH || !/^[\x21-\x7e]+$/.test(value))
    return null
  const text = json['valid_till'] ?? null
  const validTill = text === null ? null : parseInstant(text)
  return { value: new Secret(value), validTill, validTillUnreadable: text !== null && validTill === null }
}

/** The token API's own error id, which its support asks for; undefined when the body holds none. Nothing else of the body leaves here. */
export function readErrorId(body: string): string | undefined {
  const errors = parseObject(body)?.['errors']
  if (!Array.isArray(errors)) return undefined
  for (const error of errors) {
    const id: unknown = (error as Record<string, unknown> | null)?.['error_id']
    if (typeof id === 'string' && /^[\w.:-]{1,128}$/.test(id)) return id
  }
  return undefined
}

/** Epoch ms of `2030-01-01T00:00:00+00:00`, also with `Z`, a fraction, a blank for the `T`, or no offset (then UTC); null otherwise. */
export function parseInstant(text: unknown): number | null {
  if (typeof text !== 'string') return null
  const match = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(Z|z|[+-]\d{2}:?\d{2})?$/.exec(
    text.trim(),
  )
  if (match === null) return null
  const [, date, time, offset = 'Z'] = match
  const zone = offset.length === 5 ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset.toUpperCase()
  const instant = Date.parse(`${date}T${time}${zone}`)
  return Number.isNaN(instant) ? null : instant
}

function parseObject(body: string): Record<string, unknown> | null {
  try {
    // A byte order mark is allowed to be ignored (RFC 8259, section 8.1), and a token thrown away for it would be the only live one.
    const json: unknown = JSON.parse(body.replace(/^\uFEFF/, ''))
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
