/** How `valid_till` is written. The documentation shows `offset`; clients should take all four. */
export type ValidTillSpelling = 'offset' | 'zulu' | 'fraction' | 'bare'

/** Name of the token's field; one region's documentation writes it with a hyphen. */
export type TokenField = 'access_token' | 'access-token'

/** A 200 that is none. */
export type GarbageKind =
  | 'empty'
  | 'html'
  | 'no-token'
  | 'errors'
  | 'token-and-errors'
  | 'truncated-json'
  | 'truncated-body'

/** Body of an answer as it goes on the wire. */
export interface Answer {
  readonly contentType: string
  readonly body: string
  /** Stated when it differs from the body's: the connection is then cut after the body. */
  readonly contentLength?: number
}

/** Body of a successful mint. `validTill` is epoch ms; null is the JSON null of a client that never expires. */
export function mintAnswer(
  token: string,
  validTill: number | null,
  field: TokenField,
  spelling: ValidTillSpelling,
): Answer {
  return json({ [field]: token, valid_till: validTill === null ? null : spell(validTill, spelling) })
}

/** The documented error shape. Codes and messages are this sandbox's own: the real ones are not public. */
export function errorAnswer(code: string, message: string, errorId: string | null): Answer {
  return json({
    errors: [{ error_code: code, error_message: message, error_source: 'CLEAR', error_id: errorId }],
  })
}

export function htmlAnswer(title: string): Answer {
  return {
    contentType: 'text/html; charset=utf-8',
    body: `<!doctype html><html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`,
  }
}

export const emptyAnswer: Answer = { contentType: 'application/json', body: '' }

/** What to send with status 200 in place of `good`, the answer the client should have had. */
export function garbageAnswer(kind: GarbageKind, good: Answer): Answer {
  const { errors } = JSON.parse(errorAnswer('SANDBOX_GARBAGE', 'Validation failed', null).body)
  switch (kind) {
    case 'empty':
      return emptyAnswer
    case 'html':
      return htmlAnswer('Scheduled maintenance')
    case 'no-token':
      return json({ valid_till: null })
    case 'errors':
      return json({ errors })
    case 'token-and-errors':
      return json({ ...JSON.parse(good.body), errors })
    case 'truncated-json':
      return { ...good, body: half(good.body) }
    case 'truncated-body':
      return { ...good, body: half(good.body), contentLength: good.body.length }
  }
}

function spell(epochMs: number, spelling: ValidTillSpelling): string {
  const iso = new Date(epochMs).toISOString()
  const seconds = iso.slice(0, 19)
  switch (spelling) {
    case 'offset':
      return `${seconds}+00:00`
    case 'zulu':
      return `${seconds}Z`
    case 'fraction':
      return `${iso.slice(0, 23)}+00:00`
    case 'bare':
      return seconds
  }
}

function json(value: unknown): Answer {
  return { contentType: 'application/json', body: JSON.stringify(value) }
}

function half(text: string): string {
  return text.slice(0, Math.floor(text.length / 2))
}
