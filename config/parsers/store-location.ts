import { Secret } from '../../proxy/lib/secret.ts'
import type { StoreConfig } from '../config.ts'
import type { Parsed, Parser } from './parsed.ts'

/** What the text alone says of a `StoreConfig`: the file may still be the default one (path null), and the pod is not asked. */
export type StoreLocation =
  | Exclude<StoreConfig, { kind: 'file' | 'kubernetes' }>
  | { readonly kind: 'file'; readonly path: string | null }
  | { readonly kind: 'kubernetes'; readonly namespace: string | null; readonly name: string }

const FORM =
  'must be memory:, file:/path, redis://host:6379, rediss://host:6379, kubernetes:NAMESPACE/NAME or kubernetes: alone'

const SENTINEL_FORM =
  'must be redis-sentinel://host:26379,host:26379/NAME with the name that the sentinels have for the primary'

/** Where tokens are kept. Problems never repeat the text: a Redis URL may hold a password. */
export const storeLocation: Parser<StoreLocation> = (text) => {
  const colon = text.indexOf(':')
  const rest = text.slice(colon + 1)
  switch (text.slice(0, colon + 1)) {
    case 'memory:':
      return rest === '' ? { value: { kind: 'memory' } } : { problem: FORM }
    case 'file:':
      return file(rest)
    case 'redis:':
    case 'rediss:':
      return redis(text)
    case 'redis-sentinel:':
    case 'rediss-sentinel:':
      return sentinels(text)
    case 'kubernetes:':
      return kubernetes(rest)
    default:
      return { problem: FORM }
  }
}

/** Taken to the letter, so no percent-decoding; `file:///path` is the same as `file:/path`. */
function file(rest: string): Parsed<StoreLocation> {
  const path = rest.replace(/^\/\/(?=\/)/, '')
  if (path === '') return { value: { kind: 'file', path: null } }
  if (!path.startsWith('/') || path.startsWith('//') || path.endsWith('/') || path.includes('\0')) {
    return {
      problem: 'must name a file by its absolute path, such as file:/var/lib/token-sidecar/tokens.json',
    }
  }
  return { value: { kind: 'file', path } }
}

function redis(text: string): Parsed<StoreLocation> {
  const url =
    /^rediss?:\/\/[^/]/.test(text) && /^[!-~]+$/.test(text) && URL.canParse(text) ? new URL(text) : null
  if (url === null || url.hostname === '' || url.port === '0') return { problem: FORM }
  if (/[?#]/.test(text)) return { problem: 'must not have a query or a fragment in its Redis URL' }
  if (!/^(\/\d*)?$/.test(url.pathname)) {
    return {
      problem: 'must have a database number as the path of its Redis URL, such as redis://host:6379/0',
    }
  }
  if (!isPercentEncoded(url.username) || !isPercentEncoded(url.password)) {
    return { problem: 'must have the user name and password of its Redis URL percent-encoded' }
  }
  return {
    value: { kind: 'redis', url: new Secret(text), display: `${url.protocol}//${url.host}${url.pathname}` },
  }
}

/** Several hosts are no URL, so each is looked at as if it were the only one. */
function sentinels(text: string): Parsed<StoreLocation> {
  const [, scheme = '', login = '', hosts = '', name = '', database = ''] =
    /^(rediss?)-sentinel:\/\/([^@/]*@)?([^/@]+)\/([\w.-]+)(\/\d+)?$/.exec(text) ?? []
  if (hosts === '') return { problem: SENTINEL_FORM }
  for (const host of hosts.split(',')) {
    const single = redis(`${scheme}://${login}${host}${database}`)
    if ('problem' in single) return single.problem === FORM ? { problem: SENTINEL_FORM } : single
  }
  const display = `${scheme}-sentinel://${hosts}/${name}${database}`
  return { value: { kind: 'redis', url: new Secret(text), display } }
}

/** The client decodes both; a lone "%" would throw there, with the URL in the message. */
function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** Name of the Secret when none is given, in the pod's own namespace. */
const DEFAULT_SECRET_NAME = 'token-sidecar'

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

function kubernetes(rest: string): Parsed<StoreLocation> {
  if (rest === '') return { value: { kind: 'kubernetes', namespace: null, name: DEFAULT_SECRET_NAME } }
  const [namespace = '', name = '', ...more] = rest.split('/')
  const isName = name.length <= 253 && name.split('.').every((label) => LABEL.test(label))
  if (!LABEL.test(namespace) || !isName || more.length > 0) {
    return {
      problem: 'must be kubernetes:NAMESPACE/NAME with names as Kubernetes has them, or kubernetes: alone',
    }
  }
  return { value: { kind: 'kubernetes', namespace, name } }
}
