import type { AllowRule } from '../../proxy/lib/allow-rule.ts'
import { listOf, type Parser } from './parsed.ts'

/** Names of the additional routes. Their variables hold the name in upper case, so `gls` and `GLS` would be one. */
export const routeNames: Parser<string[]> = (text) => {
  const parsed = listOf(routeName)(text)
  if ('problem' in parsed) return parsed
  const seen = new Set<string>()
  for (const name of parsed.value) {
    if (seen.has(name.toUpperCase()))
      return { problem: `must not name ${name} twice (upper and lower case count as one)` }
    seen.add(name.toUpperCase())
  }
  return parsed
}

const routeName: Parser<string> = (text) => {
  if (!/^[A-Za-z][A-Za-z0-9_]{0,62}$/.test(text)) {
    return { problem: 'must be a letter followed by letters, digits or underscores' }
  }
  if (text.toLowerCase() === 'default') return { problem: 'must not be "default": that is the main route' }
  return { value: text }
}

/** Path prefix of a route, without the slash at its end. Plain segments, so that no second spelling can miss it. */
export const pathPrefix: Parser<string> = (text) => {
  const value = text.replace(/\/$/, '')
  if (value === '') return { problem: 'must not be "/": that is the main route' }
  if (!/^(\/[A-Za-z0-9._~-]+)+$/.test(value) || hasDotSegment(value)) {
    return { problem: 'must be a path such as /gls: letters, digits, ".", "_", "~" and "-" between slashes' }
  }
  return { value }
}

/** Error statuses, each once. */
export const statusList: Parser<number[]> = (text) => {
  const parsed = listOf(errorStatus)(text)
  return 'value' in parsed ? { value: [...new Set(parsed.value)] } : parsed
}

const errorStatus: Parser<number> = (text) =>
  /^[45]\d\d$/.test(text) ? { value: Number(text) } : { problem: 'must be a status from 400 to 599' }

/** Patterns such as `GET /einv/**`. */
export const allowRules: Parser<AllowRule[]> = (text) => listOf(allowRule)(text)

const allowRule: Parser<AllowRule> = (text) => {
  const match = /^(\*|[A-Za-z]+(?:-[A-Za-z]+)*)[ \t]+(\/\S*)$/.exec(text)
  if (match === null) return { problem: 'must be a method (or *), a space and a path, such as GET /einv/**' }
  const [, method = '', path = ''] = match
  // Printable ASCII, as a request target has it; a query is not part of what is matched.
  if (!/^[!-~]+$/.test(path) || /[?#\\]/.test(path)) {
    return { problem: 'must have a plain path, without query and with other characters percent-encoded' }
  }
  if (hasDotSegment(path)) return { problem: 'must not have "." or ".." in its path' }
  const segments = path.slice(1).split('/')
  if (segments.slice(0, -1).some((segment) => segment === '')) {
    return { problem: 'must not have two slashes in a row in its path' }
  }
  if (segments.slice(0, -1).includes('**')) return { problem: 'must have ** only at its end' }
  if (segments.some((segment) => segment.includes('*') && segment !== '*' && segment !== '**')) {
    return { problem: 'must have * and ** only as whole segments between slashes' }
  }
  return { value: { method: method.toUpperCase(), path } }
}

function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment))
}
