import type { IncomingHttpHeaders } from 'node:http'

/** What tells who asks. */
export interface Caller {
  /** The request came through a socket file, which the rights of its directory guard. */
  readonly bySocketFile: boolean
  /** Undefined once the connection is gone. */
  readonly remoteAddress: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Header that a form or an image of a web page cannot send, and a script of another site only after a preflight we refuse. */
export const MARK_HEADER = 'x-sidecar-request'

/** Set by proxies: the caller is then not the neighbour it seems to be. */
const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip']

/**
 * Why a request may not act on the sidecar, as a sentence; null when it may. Accepted are programs on this host (in
 * Kubernetes: in this pod) that meant to ask. Three kinds of strangers also arrive from a loopback address: pages in a
 * browser on this host, pages whose host name was pointed here (DNS rebinding, which makes them same-origin and able to send
 * any header), and whoever is behind a proxy on this host.
 */
export function refusal({ bySocketFile, remoteAddress, headers }: Caller): string | null {
  if (!bySocketFile && !isLoopback(remoteAddress)) {
    return 'Only callers from a loopback address may do this.'
  }
  const forwarding = FORWARDING_HEADERS.find((name) => headers[name] !== undefined)
  if (forwarding !== undefined) {
    return `A request that came through a proxy (header ${forwarding}) may not do this.`
  }
  if (!isLocalHost(headers.host)) {
    return 'The Host header must name this host: localhost, 127.0.0.1 or [::1].'
  }
  if (headers[MARK_HEADER] !== '1') {
    return `The header "${MARK_HEADER}: 1" is missing.`
  }
  if (!isOwnOrigin(headers)) {
    return 'Pages of another site may not do this.'
  }
  return null
}

/** A dual-stack listener shows IPv4 callers as `::ffff:127.0.0.1`. */
function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/i.test(address ?? '')
}

function isLocalHost(host: string | undefined): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(host ?? '')
}

/** Programs send neither field; a page served from here sends its own origin. */
export function isOwnOrigin({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  if (origin !== undefined && origin.toLowerCase() !== `http://${host}`.toLowerCase()) return false
  return site === undefined || site === 'same-origin' || site === 'none'
}
