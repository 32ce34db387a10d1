import type { AllowRule } from '../lib/allow-rule.ts'

/**
 * A target nothing has to be decided about: segments of unreserved and sub-delimiter characters that do not begin with a
 * dot, no `%`, `\`, `;` or `//`, and a query of visible ASCII. Almost every call is one, and is judged by this scan alone.
 * The two character classes exclude `/`, so the expression is linear.
 */
const PLAIN_TARGET =
  /^\/(?:[\w~!$&'()*+,=:@-][\w.~!$&'()*+,=:@-]*(?:\/[\w~!$&'()*+,=:@-][\w.~!$&'()*+,=:@-]*)*\/?)?(?:\?[!"$-~]*)?$/

export function isPlainTarget(target: string): boolean {
  return PLAIN_TARGET.test(target)
}

/**
 * Whether the target is an origin-form (RFC 9112, section 3.2.1) of visible ASCII without a fragment. Bytes above 0x7F are
 * refused although many servers take them: what they mean differs from server to server, and URIs must escape them.
 */
export function isOriginForm(target: string): boolean {
  return /^\/[!"$-~]*$/.test(target)
}

/** The part of a target before the query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

/** Whether a segment is `.` or `..` once decoded; `\` separates too, and `..;x` counts, because servers exist that agree. */
export function hasDotSegment(path: string): boolean {
  return /(?:^|[/\\])(?:\.|%2e){1,2}(?=[/\\;]|%3b|$)/i.test(path)
}

/**
 * Whether a path, once fully decoded, has more separators than before: where one server sees one segment, another sees two.
 * NUL counts, since it ends a path in some.
 */
export function hidesSeparator(path: string, decoded: string): boolean {
  return decoded.split(/[/\\\0]/).length !== path.split('/').length
}

/** Whether a fully decoded path holds an overlong form of UTF-8, which only lenient decoders read: as `/` or `.`, say. */
export function hasOverlongForm(decoded: string): boolean {
  return /[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}/.test(decoded)
}

/** More layers of percent-encoding than this have no honest use, and undoing n of them costs n scans. */
const MOST_ENCODING_LAYERS = 8

/** A path with every layer of percent-encoding undone, as Latin-1 bytes; null when there are too many layers. */
export function fullyDecoded(path: string): string | null {
  let current = path
  for (let layer = 0; layer < MOST_ENCODING_LAYERS; layer++) {
    const decoded = percentDecoded(current)
    if (decoded === current) return current
    current = decoded
  }
  return null
}

/** Whether a fully decoded path holds a `..` segment by the loosest reading any server is known to have. */
export function climbs(decoded: string): boolean {
  return /(?:^|[/\\])\s*\.\.(?=[/\\;?#\s\0]|$)/.test(decoded)
}

/**
 * The aggressive normal form of a fully decoded path: what the most lenient server could take it for. Only ever compared
 * with another normal form, never forwarded. Case and Unicode compatibility forms are folded, `\` is `/`, parameters
 * (`;x`), repeated slashes, dot segments, and spaces or dots around a segment are gone, and NUL, `?` or `#` end it.
 */
export function normalForm(decoded: string): string {
  const segments: string[] = []
  const text = Buffer.from(decoded, 'latin1').toString('utf8').normalize('NFKC').toLowerCase()
  for (const segment of (text.split(/[?#\0]/, 1)[0] ?? '').split(/[/\\]/)) {
    const name = (segment.split(';', 1)[0] ?? '').trim()
    if (name === '..') segments.pop()
    else {
      const bare = withoutTrailingDots(name)
      if (bare !== '') segments.push(bare)
    }
  }
  return `/${segments.join('/')}`
}

/** In a pattern, for one segment that is not empty. */
const ANY = Symbol('any segment')

/**
 * A test of method and path against `ALLOW`. The path is the one the upstream will see, base path included; segments are
 * compared case-sensitively after one percent-decoding. `*` stands for one segment that is not empty, `**` at the end for
 * any rest, none included; `%2A` is a star and nothing else.
 */
export function createAllowList(rules: readonly AllowRule[]): (method: string, path: string) => boolean {
  const patterns = rules.map((rule) => {
    const written = rule.path.split('/')
    const open = written.at(-1) === '**'
    const segments = open ? written.slice(0, -1) : written
    return {
      method: rule.method,
      segments: segments.map((it) => (it === '*' ? ANY : percentDecoded(it))),
      open,
    }
  })
  return (method, path) => {
    const segments = path.split('/').map(percentDecoded)
    return patterns.some(
      (pattern) =>
        (pattern.method === '*' || pattern.method === method) &&
        (pattern.open
          ? segments.length >= pattern.segments.length
          : segments.length === pattern.segments.length) &&
        pattern.segments.every((wanted, at) =>
          wanted === ANY ? segments[at] !== '' : wanted === segments[at],
        ),
    )
  }
}

/** A loop, because the expression for it needs quadratic time on a name of many dots. */
function withoutTrailingDots(name: string): string {
  let end = name.length
  while (end > 0 && (name[end - 1] === '.' || name[end - 1] === ' ')) end--
  return name.slice(0, end)
}

/** One layer of percent-encoding undone, byte by byte; what is not `%` and two hex digits stays as it is. */
function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
