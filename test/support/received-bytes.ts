import type { Socket } from 'node:net'

/** Reads on from here; how much has come since. */
export function countReceived(socket: Socket): () => number {
  let receivedBytes = 0
  socket.on('data', (bytes: Buffer) => {
    receivedBytes += bytes.length
  })
  socket.resume()
  return () => receivedBytes
}
