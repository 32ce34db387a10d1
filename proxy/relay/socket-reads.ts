import { Socket, type SocketConstructorOpts } from 'node:net'

/**
 * The one buffer that all reads of all connections go to. Node reads and calls back in one step, so the bytes are there until
 * the callback returns; whoever needs them longer copies them. Saves an allocation of 64 KiB and a trip through a readable
 * stream for each read: measured, 1.6 of 10 microseconds.
 */
const shared = Buffer.allocUnsafeSlow(65_536)

/**
 * What one read brings may have to be kept while the other side does not take it. So that a thousand callers that do not
 * read, or upstreams, cost 16 MiB and not 64, connections beyond so many read less at a time.
 */
const MANY_CONNECTIONS = 128
const sharedByMany = shared.subarray(0, 16_384)

/** Gets the bytes of one connection. They lie in a buffer that the next read, of any connection, overwrites. */
export type OnBytes = (bytes: Buffer, length: number) => void

/** The `onread` option for `net.connect` and `tls.connect`. `others`: how many connections of the kind there are already. */
export function readInto(
  onBytes: OnBytes,
  others: number,
): { buffer: Buffer; callback: (length: number) => boolean } {
  const buffer = others < MANY_CONNECTIONS ? shared : sharedByMany
  return {
    buffer,
    callback: (length) => {
      onBytes(buffer, length)
      return true
    },
  }
}

/** What Node's own code passes to the constructor, but its types do not know. */
type HandleOpts = SocketConstructorOpts & { handle: unknown; onread: ReturnType<typeof readInto> }

/**
 * Makes an accepted socket (of a server with `pauseOnConnect`) read into the shared buffer: a server has no `onread` option,
 * so its socket's handle is moved into a new socket, as node:cluster does with handles it is sent. Falls back to ordinary
 * reads should a version of Node keep its handle elsewhere.
 */
export function withSharedReads(accepted: Socket, onBytes: OnBytes, others: number): Socket {
  const holder = accepted as unknown as { _handle?: { useUserBuffer?: unknown } | null }
  const handle = holder._handle
  if (!handle || typeof handle.useUserBuffer !== 'function') {
    accepted.on('data', (bytes: Buffer) => onBytes(bytes, bytes.length))
    accepted.resume()
    return accepted
  }
  holder._handle = null
  accepted.destroy()
  const options: HandleOpts = { handle, allowHalfOpen: true, onread: readInto(onBytes, others) }
  return new Socket(options)
}
