import type { Socket } from 'node:net'

type Done = (error?: NodeJS.ErrnoException | null) => void
type Write = (chunk: Buffer, encoding: BufferEncoding, done: Done) => void
type Writev = (chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: Done) => void

/**
 * Lets a connection be read on after a write has failed. An upstream may answer and close before it has read a body (RFC 9112,
 * section 9.6): then the next piece of the body meets a reset, while the answer lies in the system, unread. Node would end the
 * connection at the failed write, and the answer would be lost; so that is only noted, and the reading tells what happened. A
 * write of nothing is a question (see `UpstreamConnection`), and is answered. `onBroken` gets `EPIPE` where the upstream had
 * ended in order before, and `ECONNRESET` where it had not: the system tells that once, so the reading may see a mere end.
 */
export function outliveWriteErrors(socket: Socket, onBroken: (error: NodeJS.ErrnoException) => void): void {
  // A stream passes the same function each time.
  let known: Done | null = null
  let tolerant: Done = () => {}
  const tolerate = (done: Done): Done => {
    if (done !== known) {
      known = done
      tolerant = (error) => {
        if (error?.code !== 'EPIPE' && error?.code !== 'ECONNRESET') return done(error)
        onBroken(error)
        done(null)
      }
    }
    return tolerant
  }
  const write: Write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket) as Writev | undefined
  socket._write = (chunk, encoding, done) =>
    write(chunk, encoding, chunk.length === 0 ? done : tolerate(done))
  if (writev) socket._writev = (chunks, done) => writev(chunks, tolerate(done))
}
