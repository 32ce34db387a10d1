import { isIP } from 'node:net'
import type { RequestHandler } from 'express'
import type { Log } from '../lib/log.ts'
import { sendProblem } from './problem.ts'

/** Names without a dot, and below a top that no public registry sells: reserved (RFC 6761, RFC 6762), or never delegated. */
const PRIVATE_NAME = /^(?:[^.]+|.+\.(?:localhost|local|internal|svc))$/

/**
 * Whether a `Host` field names a host that no stranger can have pointed here. A page whose own name was pointed at this
 * address (DNS rebinding) is same-origin with it and may read what it answers, but cannot choose its Host: that is a name the
 * page's owner has bought. Probes and Prometheus use addresses, or names of the cluster. HTTP/1.0 may leave Host out.
 */
export function isKnownHost(host: string | undefined, allowedHosts: ReadonlySet<string>): boolean {
  if (host === undefined) return true
  const [, v6, plain = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{0,5})?$/i.exec(host) ?? []
  if (v6 !== undefined) return isIP(v6) === 6
  const name = plain.toLowerCase().replace(/\.$/, '')
  return isIP(name) === 4 || PRIVATE_NAME.test(name) || allowedHosts.has(name)
}

/** Lets requests to known hosts pass and answers every other one 403, saying what would be right. */
export function knownHostsOnly(allowedHosts: readonly string[], log: Log): RequestHandler {
  const allowed = new Set(allowedHosts)
  return (request, response, next) => {
    if (isKnownHost(request.headers.host, allowed)) return next()
    const reason = 'The Host header names a host that is not in ALLOWED_HOSTS.'
    log.warn('ops_request_refused', {
      path: request.path,
      remote_address: request.socket.remoteAddress,
      reason,
    })
    sendProblem(response, { status: 403, code: 'request_forbidden', detail: reason })
  }
}
