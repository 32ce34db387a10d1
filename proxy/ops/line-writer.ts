import type { Writable } from 'node:stream'

/** What may wait for a reader that has stopped reading; about 5,000 lines. */
const WAITING_LIMIT_BYTES = 1024 * 1024

/**
 * Writes log lines to a stream such as standard output without ever waiting for it or failing with it. Lines are dropped
 * while more than `limitBytes` wait for the reader, and for good once the reader is gone (EPIPE); a full disk is tried again.
 * False: the line was dropped.
 */
export function lineWriter(stream: Writable, limitBytes = WAITING_LIMIT_BYTES): (line: string) => boolean {
  let gone = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') gone = true
  })
  return (line) => {
    if (gone || !stream.writable || stream.writableLength > limitBytes) return false
    stream.write(line)
    return true
  }
}
