import { Secret } from '../../proxy/lib/secret.ts'
import { listOf, type Parser } from './parsed.ts'

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/**
 * Fields that frame the message, belong to one connection (RFC 9110, section 7.6.1) or have a meaning between the app
 * and the sidecar: a token in one of them would break calls or never arrive.
 */
const UNFIT_FOR_TOKEN = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-clear-client-secret',
  'x-sidecar-key',
  'x-sidecar-request',
])

/** Name of the header that carries the token, in lower case. */
export const headerName: Parser<string> = (text) => {
  if (!TOKEN.test(text)) return { problem: 'must be a header name: letters, digits and hyphens' }
  const value = text.toLowerCase()
  if (UNFIT_FOR_TOKEN.has(value))
    return { problem: `cannot be ${value}: that header has a meaning of its own` }
  return { value }
}

/** What stands before the token. Kept to the letter, because `Bearer ` ends with a space that counts. */
export const tokenPrefix: Parser<string> = (text) => {
  // A field's value does not begin with a space (RFC 9110, section 5.5).
  if (/^(?:[!-~][ -~]*)?$/.test(text)) return { value: text }
  return { problem: 'must hold printable ASCII only, without line breaks and not beginning with a space' }
}

const VISIBLE_ASCII = /^[!-~]+$/

/** The API client's secret. Anything but visible ASCII could not be sent in a header. */
export const clientSecret: Parser<Secret> = (text) => {
  if (VISIBLE_ASCII.test(text)) return { value: new Secret(text) }
  return { problem: 'must hold visible ASCII only: no space, line break or other character inside' }
}

/** One key, or two with a comma between them while one replaces the other. */
export const callerKeys: Parser<Secret[]> = (text) => {
  const parsed = listOf(clientSecret)(text)
  if ('value' in parsed && parsed.value.length > 2)
    return { problem: 'must hold one key, or two with a comma' }
  return parsed
}
