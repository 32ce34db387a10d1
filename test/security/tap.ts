import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Teardown } from '../support/sidecar-process-program.ts'

/** A wire that passes bytes on to an address and shows them, each way. */
export interface Tap {
  readonly port: number
  /** `http://127.0.0.1:PORT` */
  readonly url: string
}

/** `up` sees what goes to the port of `target`, `down` what comes back. */
export async function tapOn(
  teardown: Teardown,
  target: number,
  up: (bytes: Buffer) => void,
  down: (bytes: Buffer) => void,
): Promise<Tap> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    join(near, far, up)
    join(far, near, down)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  teardown.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, url: `http://127.0.0.1:${port}` }

  function join(from: Socket, to: Socket, seen: (bytes: Buffer) => void): void {
    sockets.add(from)
    from.on('data', (bytes) => {
      seen(bytes)
      to.write(bytes)
    })
    from.on('end', () => to.end())
    from.on('error', () => {})
    from.on('close', (hadError) => {
      sockets.delete(from)
      if (hadError) to.resetAndDestroy()
      else to.destroySoon()
    })
  }
}
