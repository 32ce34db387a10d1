import { lend } from './lent-memory.ts'

/** Bytes on their way from one connection to another, copied out of the buffer all reads share. */
export type Piece = string | Buffer

/**
 * Up to here a piece travels as a Latin-1 string: writing one costs no allocation that has to be collected (Node puts it on
 * its stack, up to 16 KiB), where a Buffer costs one.
 */
const STRING_LIMIT_BYTES = 8192

/** The bytes as text, one character for each. */
export function latin1(bytes: Buffer, from: number, to: number): string {
  return (bytes as Latin1Sliced).latin1Slice(from, to)
}

/** What `toString('latin1')` comes down to; Node has had it since version 0.x, its types have not. */
type Latin1Sliced = Buffer & { latin1Slice(from: number, to: number): string }

/** The bytes as a piece of their own, to be kept as long as one likes. */
export function pieceOf(bytes: Buffer, from: number, to: number): Piece {
  return isText(to - from) ? latin1(bytes, from, to) : copyOf(bytes, from, to)
}

/**
 * Head and beginning of a body (or more of it, with no head) as one piece, so that they leave in one system call. To be written
 * once and not kept: the memory of a large one is lent.
 */
export function headWith(head: string, bytes: Buffer, from: number, to: number): Piece {
  if (from === to) return head
  if (isText(to - from)) return head + latin1(bytes, from, to)
  const whole = lend(head.length + to - from)
  if (head !== '') whole.write(head, 'latin1')
  bytes.copy(whole, head.length, from, to)
  return whole
}

/** Whether that many bytes travel as a string. */
export const isText = (lengthBytes: number): boolean => lengthBytes <= STRING_LIMIT_BYTES

function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(to - from)
  bytes.copy(copy, 0, from, to)
  return copy
}
