import type { Route } from './forwarder.ts'

/**
 * A `Location` as the caller should see it. One that leads back to the upstream's own origin and below its base path leads
 * to the sidecar instead, under the name the caller used (`host`, null when it sent none) and with the route's prefix, so
 * that following it carries the token again. Every other one passes unchanged; none is ever followed here.
 */
export function rewriteLocation(location: string, route: Route, host: string | null): string {
  const base = route.upstream.pathname.replace(/\/+$/, '')
  const prefix = route.prefix.replace(/\/+$/, '')
  if (location.startsWith('/') && !location.startsWith('//')) {
    if (base === '') return prefix + location
    // Outside the base path the sidecar has no address for it, and a bare path would be taken for one of the sidecar's.
    return isBelow(location, base) ? translated(location, base, prefix) : route.upstream.origin + location
  }
  const rest = restAfterOrigin(location, route.upstream)
  if (rest === null || !isBelow(rest, base)) return location
  const path = translated(rest, base, prefix)
  return host === null ? path : `http://${host}${path}`
}

/** A `Refresh` such as `5; url=/next`, which browsers follow like a `Location`; `rewrite` sees its URL. */
export function rewriteRefresh(refresh: string, rewrite: (location: string) => string): string {
  const before = /^[^;,]*[;,]\s*url\s*=\s*["']?/i.exec(refresh)?.[0]
  if (before === undefined) return refresh
  const quote = /["']$/.exec(before)?.[0] ?? ''
  const end = quote !== '' && refresh.endsWith(quote) ? refresh.length - 1 : refresh.length
  if (end < before.length) return refresh
  return before + rewrite(refresh.slice(before.length, end)) + refresh.slice(end)
}

/** What follows the authority, byte for byte, when the reference names the upstream's origin; null when it does not. */
function restAfterOrigin(location: string, upstream: URL): string | null {
  const rest = /^(?:https?:)?\/\/[^/?#\\]*(.*)$/i.exec(location)?.[1]
  if (rest === undefined || !URL.canParse(location, upstream.origin)) return null
  if (new URL(location, upstream.origin).origin !== upstream.origin) return null
  return rest.startsWith('/') ? rest : `/${rest}`
}

function isBelow(path: string, base: string): boolean {
  return path.startsWith(base) && /^(?:[/?#]|$)/.test(path.slice(base.length))
}

function translated(path: string, base: string, prefix: string): string {
  const rest = path.slice(base.length)
  return prefix + (rest.startsWith('/') ? rest : `/${rest}`)
}
