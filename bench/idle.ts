import { connect, type Socket } from 'node:net'

/** Connections being opened at one time, so that no listen queue overflows. */
const AT_ONCE = 50

/** Connections that have carried one request each and are left alone. */
export interface IdleConnections {
  /** How many the server has not closed. */
  open(): number
  close(): void
}

/** Opens connections, sends a request on each, and leaves them open once it is answered. */
export async function openIdle(port: number, count: number): Promise<IdleConnections> {
  const sockets: Socket[] = []
  const close = () => {
    for (const socket of sockets) socket.destroy()
  }
  try {
    while (sockets.length < count) {
      const batch = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, () =>
        connect(port, '127.0.0.1'),
      )
      sockets.push(...batch)
      await Promise.all(batch.map((socket) => oneRequest(socket, port)))
    }
    return { open: () => sockets.filter(({ destroyed, readable }) => readable && !destroyed).length, close }
  } catch (error) {
    close()
    throw error
  }
}

function oneRequest(socket: Socket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // A server may close an idle connection; that is not this promise's business any more.
    socket.on('error', reject)
    socket.once('data', (bytes) => {
      const line = bytes.toString('latin1', 0, 12)
      if (line === 'HTTP/1.1 200') resolve()
      else reject(new Error(`an idle connection is answered ${line}`))
    })
    socket.once('close', () => reject(new Error('an idle connection was closed')))
    socket.write(`GET /small HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  })
}
