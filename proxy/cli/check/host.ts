import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import type { Config } from '../../../config/config.ts'
import { systemClock } from '../../lib/clock.ts'
import { clockOffset } from '../../token/clear-minter.ts'
import { addressFinding } from './addresses.ts'
import { connected } from './connection.ts'
import { codeOf, type Finding } from './finding.ts'
import { secured } from './tls.ts'

/** One origin that the sidecar speaks to, and what it is to it. */
interface Host {
  readonly url: URL
  readonly roles: readonly string[]
  /** Its root is a token API: asking for it would mint. */
  readonly rootMints: boolean
}

/** The way to each host, from its name to an answer, in the order of the configuration. */
export function hostFindings(config: Config, limit: () => AbortSignal): Promise<readonly Finding[]>[] {
  return hostsOf(config).map((host) => wayTo(host, config, limit()))
}

function hostsOf({ routes, credentials }: Config): Host[] {
  const hosts = new Map<string, Host>()
  const add = (url: URL, role: string, rootMints: boolean) => {
    const known = hosts.get(url.origin) ?? { url, roles: [], rootMints: false }
    const roles = [...new Set([...known.roles, role])]
    hosts.set(url.origin, { url, roles, rootMints: known.rootMints || rootMints })
  }
  for (const { upstream } of routes) add(upstream, 'business API', false)
  for (const { tokenUrl } of credentials) add(tokenUrl, 'token API', tokenUrl.pathname === '/')
  return [...hosts.values()]
}

async function wayTo(
  { url, roles, rootMints }: Host,
  config: Config,
  signal: AbortSignal,
): Promise<Finding[]> {
  const subject = `${roles.join(' and ')} ${url.origin}`
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isTls = url.protocol === 'https:'
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
  const findings: Finding[] = [await addressFinding(subject, host, signal)]
  if (findings[0]?.result === 'failed') return findings
  const socket = await connected(subject, host, port, signal, findings)
  if (socket === null) return findings
  const { upstreamTls } = config.relay
  const way = isTls ? await secured(subject, host, socket, upstreamTls, systemClock.now(), findings) : socket
  if (way !== null && !rootMints) findings.push(await answerFinding(subject, url.host, way, signal))
  socket.destroy()
  return findings
}

/** Asks for the root, which is nobody's business call, without secret or token; what it answers does not matter. */
async function answerFinding(
  subject: string,
  authority: string,
  way: Socket,
  signal: AbortSignal,
): Promise<Finding> {
  const sentAt = systemClock.now()
  const asked = request({
    createConnection: () => way,
    method: 'HEAD',
    path: '/',
    headers: { host: authority, 'user-agent': 'token-sidecar-check', connection: 'close' },
    signal,
  })
  asked.end()
  try {
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.resume()
    const { date } = answer.headers
    const offsetMs = clockOffset(date, sentAt, systemClock.now())
    const found = `answers HTTP (${answer.statusCode} for HEAD /)`
    if (offsetMs !== 0) {
      const side = offsetMs > 0 ? 'behind' : 'ahead of'
      return {
        result: 'warning',
        subject,
        found: `${found}; the clock here is ${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${side} its`,
        todo: 'switch time synchronisation (NTP) on; the end of tokens is corrected by it, schedules and days are not',
      }
    }
    return { result: 'ok', subject, found: `${found}${date === undefined ? '' : '; the clocks agree'}` }
  } catch (error) {
    return {
      result: 'failed',
      subject,
      found: `does not answer HTTP/1.1 (${codeOf(error)})`,
      todo: 'compare scheme and port with the page of the product; a server that wants a client certificate ends here too',
    }
  }
}
