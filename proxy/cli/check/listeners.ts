import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { dirname } from 'node:path'
import { json } from 'node:stream/consumers'
import type { Config } from '../../../config/config.ts'
import { formatAddress, type ListenAddress } from '../../lib/address.ts'
import { bind } from '../../lib/bind.ts'
import { codeOf, type Finding } from './finding.ts'

/** Whether the sidecar could listen at its two addresses, or one does already. */
export function listenerFindings(
  { listen, opsListen }: Config,
  limit: () => AbortSignal,
): Promise<Finding>[] {
  return [listenerFinding('LISTEN', listen, limit()), listenerFinding('OPS_LISTEN', opsListen, limit())]
}

async function listenerFinding(
  variable: 'LISTEN' | 'OPS_LISTEN',
  address: ListenAddress,
  signal: AbortSignal,
): Promise<Finding> {
  const subject = `${variable} ${formatAddress(address)}`
  const code = await obstacle(address)
  if (code === null) return { result: 'ok', subject, found: 'free' }
  if (code === 'EADDRINUSE') {
    if (await isSidecar(variable, address, signal))
      return { result: 'ok', subject, found: 'a token-sidecar listens there' }
    const todo = `end the other program (ss -ltnp names it), or set ${variable} to another address`
    return { result: 'failed', subject, found: 'another program listens there', todo }
  }
  const [found, todo] = EXPLAINED[code] ?? ['cannot be bound', `set ${variable} to another address`]
  return { result: 'failed', subject, found: `${found} (${code})`, todo }
}

const EXPLAINED: Readonly<Record<string, readonly [string, string]>> = {
  EACCES: ['this user may not listen there', 'take a port above 1023, or a directory this user may write'],
  EADDRNOTAVAIL: [
    'this host does not have the address',
    'take 127.0.0.1, or an address that `ip addr` shows',
  ],
  ENOENT: ['the directory of the socket file does not exist', 'create it'],
  ENOTFOUND: ['the name does not resolve', 'take an IP address'],
}

/** The code of what keeps it from being bound; null when nothing does. */
async function obstacle(address: ListenAddress): Promise<string | null> {
  if (address.kind === 'unix') return socketFileObstacle(address.path)
  const server = createServer()
  try {
    await bind(server, address)
    return null
  } catch (error) {
    return codeOf(error)
  } finally {
    server.close()
  }
}

/** Looked at without being bound, for that would leave a file, or take the place of one that is starting. */
async function socketFileObstacle(path: string): Promise<string | null> {
  try {
    await access(dirname(path), constants.W_OK)
    const probe = connect(path)
    try {
      await once(probe, 'connect')
      return 'EADDRINUSE'
    } finally {
      probe.destroy()
    }
  } catch (error) {
    const code = codeOf(error)
    // Nobody answers, or nothing is there yet.
    return code === 'ECONNREFUSED' || (code === 'ENOENT' && (await exists(dirname(path)))) ? null : code
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** The relay names itself in an answer of its own, which dot segments always get; the ops address shows its state. */
async function isSidecar(
  variable: 'LISTEN' | 'OPS_LISTEN',
  address: ListenAddress,
  signal: AbortSignal,
): Promise<boolean> {
  const path = variable === 'LISTEN' ? '/..' : '/status'
  try {
    const asked = request({ ...placeOf(address), path, agent: false, signal, headers: { host: 'localhost' } })
    asked.end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    if (variable === 'LISTEN') {
      answer.resume()
      return String(answer.headers['proxy-status'] ?? '').startsWith('token-sidecar;')
    }
    const status = (await json(answer)) as { readonly credentials?: unknown } | null
    return Array.isArray(status?.credentials)
  } catch {
    return false
  }
}

function placeOf(address: ListenAddress): RequestOptions {
  if (address.kind === 'unix') return { socketPath: address.path }
  const everywhere = ['0.0.0.0', '::'].includes(address.host)
  return { host: everywhere ? '127.0.0.1' : address.host, port: address.port }
}
