import { unlink } from 'node:fs/promises'
import { type AddressInfo, connect, type Server } from 'node:net'
import { formatAddress, type ListenAddress } from '../lib/address.ts'

/**
 * Starts listening and resolves to the address as people write it, with the port the system chose. A socket file that a
 * dead process left behind is replaced; one that somebody answers on is in use. Rejects with the system error.
 */
export async function bind(server: Server, address: ListenAddress): Promise<string> {
  try {
    await listening(server, address)
  } catch (error) {
    if (address.kind !== 'unix' || codeOf(error) !== 'EADDRINUSE' || (await isAnswering(address.path)))
      throw error
    await unlink(address.path)
    await listening(server, address)
  }
  if (address.kind === 'unix') return formatAddress(address)
  return formatAddress({ ...address, port: (server.address() as AddressInfo).port })
}

function listening(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.kind === 'unix' ? address.path : { host: address.host, port: address.port }, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

/** Whether a process accepts connections on the socket file: only ECONNREFUSED proves that none does. */
function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'))
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
