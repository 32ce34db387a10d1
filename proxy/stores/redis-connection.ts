import { createClient, type RedisClientType } from '@redis/client'
import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import { VERIFIED } from '../lib/tls.ts'

/** The commands used here, on a server of version 6 or later (RESP3). */
export type RedisClient = Pick<
  RedisClientType,
  'sendCommand' | 'subscribe' | 'unsubscribe' | 'destroy' | 'isReady'
>

/** Through TCP, TLS and authentication. */
const CONNECT_TIMEOUT_MS = 2_000

/**
 * Opens one connection that is never reopened by the library: whoever lost it knows best what has to be asked again.
 * `lost` is called once, when it breaks by itself; it is of no use then. Rejects with the server's or the system's error.
 */
export async function connectServer(
  url: Secret,
  clock: Clock,
  lost: (error: unknown) => void,
  signal: AbortSignal,
): Promise<RedisClient> {
  signal.throwIfAborted()
  const client = createClient({
    url: url.reveal(),
    // A command that waited for a connection would be answered with a state of long ago.
    disableOfflineQueue: true,
    // Nothing is sent that is not needed, so that a server's user needs no right for it.
    disableClientInfo: true,
    maintNotifications: 'disabled',
    socket: { ...VERIFIED, reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
  })
  let opened = false
  client.on('error', (error: unknown) => {
    if (!opened) return
    opened = false
    lost(error)
    // Only then, so that the commands under way are told this error and not that they were cut off.
    queueMicrotask(() => client.destroy())
  })
  // A server that accepts the connection and then says nothing is waited for no longer than one that does not accept.
  const bound = deadline(clock, CONNECT_TIMEOUT_MS, signal)
  try {
    await abortable(client.connect(), bound.signal)
  } catch (error) {
    client.destroy()
    throw coded(error)
  } finally {
    bound.clear()
  }
  opened = true
  return client as unknown as RedisClient
}

/** A refusal of the server begins with its code (`WRONGPASS`, `NOPERM`, `READONLY`): here under the name that errors have for it. */
export function coded(error: unknown): unknown {
  if (!(error instanceof Error) || 'code' in error) return error
  const code = /^[A-Z]{2,}(?= )/.exec(error.message)?.[0]
  return code === undefined ? error : Object.assign(error, { code })
}
