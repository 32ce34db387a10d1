import { lstat, unlink } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { formatAddress, type ListenAddress } from '../lib/address.ts'

const BACKLOG = 511

/** Waits for callers on a TCP port or a socket file. */
export class Listener {
  readonly #address: ListenAddress
  readonly #server: Server

  constructor(address: ListenAddress, onAccepted: (socket: Socket) => void) {
    this.#address = address
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onAccepted)
    // One accept that fails (out of descriptors) must not end the process; the caller sees a refused connection.
    this.#server.on('error', () => {})
  }

  /** Resolves to the address bound; rejects with the system error. */
  async open(): Promise<string> {
    const address = this.#address
    if (address.kind === 'tcp') {
      await this.#bind({ host: address.host, port: address.port, backlog: BACKLOG })
      const bound = this.#server.address() as AddressInfo
      return formatAddress({ kind: 'tcp', host: bound.address, port: bound.port })
    }
    await removeStaleSocket(address.path)
    await this.#bind({ path: address.path, backlog: BACKLOG })
    return formatAddress(address)
  }

  /** Accepts no more connections; those that are open stay. */
  close(): void {
    if (this.#server.listening) this.#server.close()
  }

  #bind(options: { host?: string; port?: number; path?: string; backlog: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(options, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }
}

/** Removes the socket file of a process that is gone. A file that is no socket, or behind which somebody listens, stays: the bind then fails. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => null)
  if (stat === null || !stat.isSocket()) return
  if (await answers(path)) return
  await unlink(path).catch(() => {})
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
}
