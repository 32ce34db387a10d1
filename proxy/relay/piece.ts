/** Bytes on their way from one connection to another, copied out of the buffer all reads share. */
export type Piece = string | Buffer

/**
 * Up to here a piece travels as a Latin-1 string: writing one costs no allocation that has to be collected (Node puts it on
 * its stack, up to 16 KiB), where a Buffer costs one.
 */
const STRING_LIMIT_BYTES = 8192

/** The bytes as a piece of their own. */
export function pieceOf(bytes: Buffer, from: number, to: number): Piece {
  return to - from <= STRING_LIMIT_BYTES ? bytes.toString('latin1', from, to) : copyOf(bytes, from, to)
}

/** Head and beginning of a body as one piece, so that they leave in one system call. */
export function headWith(head: string, bytes: Buffer, from: number, to: number): Piece {
  if (from === to) return head
  if (to - from <= STRING_LIMIT_BYTES) return head + bytes.toString('latin1', from, to)
  const whole = Buffer.allocUnsafeSlow(head.length + to - from)
  whole.write(head, 'latin1')
  bytes.copy(whole, head.length, from, to)
  return whole
}

function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(to - from)
  bytes.copy(copy, 0, from, to)
  return copy
}
