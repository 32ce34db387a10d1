import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { RESPONSE } from './llhttp.ts'
import { MessageReader } from './message-reader.ts'
import { Outbox } from './outbox.ts'
import type { Piece } from './piece.ts'
import { readInto } from './socket-reads.ts'
import { LINGER_MS } from './timeouts.ts'
import type { UpstreamPool } from './upstream-pool.ts'
import { outliveWriteErrors } from './write-errors.ts'

/** The call (or tunnel) that has the connection. */
export interface UpstreamUser {
  onConnected(): void
  onUpstreamBytes(bytes: Buffer, length: number): void
  /** The upstream sends no more. */
  onUpstreamEnd(): void
  /** What was written has left; more may follow. */
  onUpstreamDrain(): void
  /** The connection is gone without the user's doing. */
  onUpstreamClosed(cause: Error | null): void
}

/** A small request, encrypted. */
const UNREPORTED_LIMIT_BYTES = 16_384

/** One connection to an upstream: serves one call at a time, then waits in the pool for the next. */
export class UpstreamConnection {
  readonly reader: MessageReader
  readonly #pool: UpstreamPool
  readonly #socket: Socket
  readonly #outbox: Outbox
  /** Null while it waits in the pool. */
  user: UpstreamUser | null = null
  isConnected = false
  /** It has waited in the pool, so the upstream may be closing it at this moment. */
  hasRested = false
  /** Monotonic ms: when to give up connecting, or waiting in the pool. */
  deadline = Number.POSITIVE_INFINITY
  /** Monotonic ms: since when it waits in the pool. */
  releasedAt = 0
  /** Monotonic ms: until then nobody has reason to close it while it waits in the pool. */
  freshUntil = 0
  #isPaused = false
  #isClosed = false
  #outlivesErrors = false
  /** A write has failed: what there is to read may still be an answer. */
  #isBroken = false
  /** It was by a reset that was not behind an end: what was read is all there is, and may not be whole. */
  #reset: Error | null = null
  #cause: Error | null = null

  constructor(pool: UpstreamPool, responseHeadLimitBytes: number) {
    this.#pool = pool
    this.reader = new MessageReader(RESPONSE, responseHeadLimitBytes)
    const { tls } = pool
    const options: NetConnectOpts = {
      host: pool.hostname,
      port: pool.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      autoSelectFamily: true,
      // Whoever has the connection decides what its end means; a tunnel's caller may still have something to say.
      allowHalfOpen: true,
      onread: readInto((bytes, length) => this.#onBytes(bytes, length), pool.size),
    }
    const socket = tls === null ? connect(options) : connectTls({ ...options, ...tls.options() })
    this.#socket = socket
    this.#outbox = new Outbox(socket)
    socket.once(tls === null ? 'connect' : 'secureConnect', () => this.#onConnected())
    if (tls !== null) socket.on('session', (session: Buffer) => tls.remember(session))
    socket.on('drain', () => this.user?.onUpstreamDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => {
      this.#cause = error
    })
    socket.on('close', () => this.#onClose())
  }

  get isWritable(): boolean {
    // One that has ended tells nothing any more, over TLS not even a reset.
    return this.#socket.writable && !this.#socket.readableEnded && !this.#isClosed && !this.#isBroken
  }

  /**
   * What was written has left, or is about to: over TLS a write is reported done after the answer to it may have come. A
   * connection with more than that waiting belongs to a call that was answered before its body had been read.
   */
  get isFlushed(): boolean {
    return this.#outbox.size <= UNREPORTED_LIMIT_BYTES
  }

  /** Written and not yet taken by the upstream. */
  get isBlocked(): boolean {
    return !this.#outbox.isEmpty
  }

  /** Nothing of the call that has the connection was given to the system yet: the upstream cannot have seen it. */
  get isUntouched(): boolean {
    return !this.#outbox.hasWritten
  }

  /** Waits in the pool from `now` on, monotonic ms. */
  rest(now: number): void {
    this.user = null
    this.releasedAt = now
    this.hasRested = true
    this.#outbox.hasWritten = false
  }

  /** False: wait for `onUpstreamDrain` before writing more. */
  write(piece: Piece): boolean {
    // A call that is written in one go is answered after that; what is written in pieces may be answered in between.
    if (!this.#outlivesErrors && (typeof piece !== 'string' || !this.isUntouched)) this.#outliveErrors()
    return this.#outbox.write(piece)
  }

  #outliveErrors(): void {
    this.#outlivesErrors = true
    outliveWriteErrors(this.#socket, (error) => {
      this.#isBroken = true
      if (error.code !== 'EPIPE') this.#reset = error
      // Nothing is read any more that would tell.
      if (this.#socket.readableEnded) this.#socket.destroy(error)
    })
  }

  /** Half-closes: a tunnel's caller has sent its last. */
  end(): void {
    this.#outbox.end()
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** Ends the connection once the upstream has taken everything, which it has a while for; its user is not told. */
  destroySoon(): void {
    this.user = null
    this.deadline = this.#pool.now + LINGER_MS
    this.#outbox.destroySoon()
  }

  /** Ends the connection; its user is not told. */
  destroy(): void {
    this.user = null
    this.#socket.destroy()
    this.#close()
  }

  /** The deadline has passed: nobody took it from the pool, or it did not come about. */
  giveUp(): void {
    const user = this.user
    this.destroy()
    user?.onUpstreamClosed(null)
  }

  #onConnected(): void {
    this.isConnected = true
    this.deadline = Number.POSITIVE_INFINITY
    this.user?.onConnected()
  }

  #onBytes(bytes: Buffer, length: number): void {
    // Nobody asked: whatever this is, it must never be taken for the answer to the next call.
    if (this.user === null) this.destroy()
    else this.user.onUpstreamBytes(bytes, length)
  }

  #onEnd(): void {
    if (this.user === null) this.destroy()
    else if (this.#reset !== null) this.#socket.destroy(this.#reset)
    // Before Node 24 a reset right behind the last bytes is reported as an end, so a truncated answer would look complete.
    // Writing nothing sends nothing, and fails if it was one (but over TLS, where Node keeps that to itself). What waits to be
    // sent would keep the question waiting, too.
    else if (this.#outbox.isEmpty) this.#socket.write('', (error) => this.#onEndAsked(error))
    else this.user.onUpstreamEnd()
  }

  #onEndAsked(error: NodeJS.ErrnoException | null | undefined): void {
    // A reset behind an end is EPIPE, for a body that the upstream did not want any more: its answer had ended in order.
    if ((error && error.code !== 'EPIPE') || this.#isClosed) return
    if (this.user === null) this.destroy()
    else this.user.onUpstreamEnd()
  }

  #onClose(): void {
    const user = this.user
    if (!this.isConnected) this.#pool.tls?.forget()
    this.user = null
    this.#close()
    user?.onUpstreamClosed(this.#cause)
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#pool.closed(this)
    this.reader.free()
  }
}
