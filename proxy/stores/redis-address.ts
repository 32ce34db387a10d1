import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'
import { connectServer } from './redis-connection.ts'

/** `redis-sentinel://user:password@host:26379,host/NAME/0`: sentinels that know where the primary NAME is. */
const SENTINEL =
  /^redis(?<tls>s?)-sentinel:\/\/(?:(?<login>[^@]*)@)?(?<hosts>[^/@]+)\/(?<name>[^/]+)(?<database>\/\d+)?$/
const SENTINEL_PORT = 26_379
const LOOKUP_TIMEOUT_MS = 2_000

/**
 * The URL of the server that takes writes at this moment. Looked up for each connection, since connections are given up
 * when a server refuses writes: after a fail-over the next one leads to the new primary. Sentinels are asked all at once
 * and the first answer counts, so that one that is down with its host costs no time. Rejects with an `AggregateError`
 * when none knows the name.
 */
export async function presentUrl(url: Secret, clock: Clock, signal: AbortSignal): Promise<Secret> {
  const found = SENTINEL.exec(url.reveal())
  if (found === null) return url
  const { tls = '', login, hosts = '', name = '', database = '' } = found.groups ?? {}
  const account = login === undefined ? '' : `${login}@`
  const bound = deadline(clock, LOOKUP_TIMEOUT_MS, signal)
  const asked = hosts.split(',').map(async (host) => {
    const at = `redis${tls}://${account}${/:\d+$/.test(host) ? host : `${host}:${SENTINEL_PORT}`}`
    return primaryOf(decodeURIComponent(name), new Secret(at), clock, bound.signal)
  })
  const [address, port] = await Promise.any(asked).finally(bound.clear)
  const hostname = address.includes(':') ? `[${address}]` : address
  return new Secret(`redis${tls}://${account}${hostname}:${port}${database}`)
}

/**
 * The URL of the node that a cluster says has the key (`MOVED SLOT HOST:PORT`), null for any other error. Nothing was done then.
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection
 */
export function movedTo(url: Secret, error: unknown): Secret | null {
  const [, host, port] = /^MOVED \d+ (.+):(\d+)$/.exec(error instanceof Error ? error.message : '') ?? []
  if (host === undefined || port === undefined) return null
  const moved = new URL(url.reveal())
  moved.hostname = host.includes(':') ? `[${host}]` : host
  moved.port = port
  return new Secret(moved.href)
}

async function primaryOf(
  name: string,
  sentinel: Secret,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly [string, string]> {
  const client = await connectServer(sentinel, clock, () => {}, signal).catch((error: { code?: unknown }) => {
    // Sentinels have passwords of their own, and often none: then they refuse to be given one.
    if (error.code !== 'ERR' && error.code !== 'WRONGPASS') throw error
    return connectServer(withoutLogin(sentinel), clock, () => {}, signal)
  })
  try {
    const asked = client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name])
    const answer = (await abortable(asked, signal)) as unknown as [string, string] | null
    if (answer === null) throw new Error('the sentinel knows no primary of that name')
    return answer
  } finally {
    client.destroy()
  }
}

function withoutLogin(url: Secret): Secret {
  return new Secret(url.reveal().replace(/\/\/[^@/]*@/, '//'))
}
