import type { Duplex } from 'node:stream'

/** The connection ended before the message did; `received` is what had come of it. */
export class IncompleteMessage extends Error {
  readonly received: Buffer

  constructor(received: Buffer) {
    super(`the connection ended after ${received.length} bytes of the message`)
    this.name = 'IncompleteMessage'
    this.received = received
  }
}

/** Bytes of a connection, to be waited for. One reader for each connection, one wait at a time. */
export class ByteReader {
  /** All bytes that came, consumed or not. */
  receivedBytes = 0
  /** Whether the other side has ended or the connection was cut. */
  ended = false
  #chunks: Buffer[] = []
  #length = 0
  #wake: () => void = () => {}

  constructor(socket: Duplex) {
    socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length
      this.#chunks.push(chunk)
      this.#length += chunk.length
      this.#wake()
    })
    const onEnd = () => {
      this.ended = true
      this.#wake()
    }
    socket.on('error', onEnd)
    socket.once('end', onEnd)
    socket.once('close', onEnd)
  }

  /** Up to and with the mark. */
  async until(mark: string): Promise<Buffer> {
    let at = this.#flat().indexOf(mark)
    while (at === -1) {
      await this.#more()
      at = this.#flat().indexOf(mark)
    }
    return this.#consume(at + mark.length)
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.#length < bytes) await this.#more()
    return this.#consume(bytes)
  }

  /** At least one byte. */
  async some(): Promise<Buffer> {
    if (this.#length === 0) await this.#more()
    return this.#consume(this.#length)
  }

  /** Whatever comes until the connection ends; never rejects. */
  async toEnd(): Promise<Buffer> {
    while (!this.ended) await new Promise<void>((resolve) => this.#wakeWith(resolve))
    return this.#consume(this.#length)
  }

  #consume(bytes: number): Buffer {
    const all = this.#flat()
    this.#chunks = [all.subarray(bytes)]
    this.#length = all.length - bytes
    return all.subarray(0, bytes)
  }

  /** What is buffered, in one piece. */
  #flat(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] as Buffer
  }

  async #more(): Promise<void> {
    if (this.ended) throw new IncompleteMessage(this.#flat())
    const before = this.receivedBytes
    await new Promise<void>((resolve) => this.#wakeWith(resolve))
    if (this.ended && this.receivedBytes === before) throw new IncompleteMessage(this.#flat())
  }

  #wakeWith(resolve: () => void): void {
    this.#wake = resolve
  }
}
