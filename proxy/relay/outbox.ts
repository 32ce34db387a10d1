import type { Socket } from 'node:net'
import { afterEvents } from '../lib/clock.ts'
import { returnOf } from './lent-memory.ts'
import type { Piece } from './piece.ts'

/** Texts up to here are joined, so that they leave in one system call. */
const JOIN_LIMIT_BYTES = 12_288

let waiting: Outbox[] = []
let spare: Outbox[] = []

function flushAll(): void {
  const boxes = waiting
  waiting = spare
  for (const box of boxes) box.flush()
  boxes.length = 0
  spare = boxes
}

/**
 * What one connection has to write. Texts wait until all events that the system reported in one go have been dealt with, and
 * then leave together: each is sent no later than the slowest of the batch, but a peer on the same host is woken once for
 * the batch instead of once for each call. Measured with 32 connections, that saves a fifth of the relay's time.
 */
export class Outbox {
  readonly #socket: Socket
  #text = ''
  /** Something was given to the system since this was last set to false. */
  hasWritten = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Nothing is waiting to be taken by the system. */
  get isEmpty(): boolean {
    return this.size === 0
  }

  /** Bytes that the system is not known to have taken. */
  get size(): number {
    return this.#text.length + this.#socket.writableLength
  }

  /** False: wait for the socket's drain before writing more. */
  write(piece: Piece): boolean {
    if (typeof piece === 'string' && this.#socket.writableLength === 0) {
      if (this.#text === '') {
        this.#text = piece
        if (waiting.length === 0) afterEvents(flushAll)
        waiting.push(this)
        return true
      }
      if (this.#text.length + piece.length <= JOIN_LIMIT_BYTES) {
        this.#text += piece
        return true
      }
    }
    this.flush()
    this.hasWritten = true
    if (typeof piece === 'string') return this.#socket.write(piece, 'latin1')
    return this.#socket.write(piece, returnOf(piece))
  }

  /** Half-closes after what was written. */
  end(): void {
    this.flush()
    this.#socket.end()
  }

  /** Closes after what was written. */
  destroySoon(): void {
    this.flush()
    this.#socket.destroySoon()
  }

  flush(): void {
    const text = this.#text
    if (text === '') return
    this.#text = ''
    this.hasWritten = true
    this.#socket.write(text, 'latin1')
  }
}
