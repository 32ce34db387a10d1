import { once } from 'node:events'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { formatAddress, type ListenAddress } from './address.ts'

/** Who may connect to a socket file is who may write it: its owner and its group, whatever the umask. */
const SOCKET_MODE = 0o660

/**
 * Makes `server` listen and resolves to the address bound, with the port that was picked for port 0. Rejects with the system
 * error. A socket file that a killed process left behind is taken over; one that somebody answers on is not.
 */
export async function bind(server: Server, address: ListenAddress): Promise<string> {
  try {
    await listen(server, address)
  } catch (error) {
    if (address.kind !== 'unix' || codeOf(error) !== 'EADDRINUSE' || !(await isAbandoned(address.path)))
      throw error
    await unlink(address.path)
    await listen(server, address)
  }
  if (address.kind === 'unix') await chmod(address.path, SOCKET_MODE)
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return formatAddress(address)
  return formatAddress({ kind: 'tcp', host: bound.address, port: bound.port })
}

async function listen(server: Server, address: ListenAddress): Promise<void> {
  // The listener goes first: once() rejects on 'error', which may come before listen() has returned control.
  const listening = once(server, 'listening')
  server.listen(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port })
  await listening
}

/** Only a socket that refuses a connection is abandoned. Linux refuses for an ordinary file as well: that one is not ours. */
async function isAbandoned(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false
  const probe = connect(path)
  try {
    await once(probe, 'connect')
    return false
  } catch (error) {
    return codeOf(error) === 'ECONNREFUSED'
  } finally {
    probe.destroy()
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
