import { Readable } from 'node:stream'
import type { ReplayMemory } from '../../proxy/relay/replay-buffer.ts'

/** What is known of a body before it arrives: its length, null when chunked. */
export interface BodyTerms {
  readonly declaredBytes: number | null
  readonly limitBytes: number
  readonly memory: ReplayMemory
  /** Called once, when a body that had been kept grows beyond a limit while it is sent. */
  readonly onLost: () => void
  /** Called when the upstream took a piece. */
  readonly onProgress: () => void
}

/**
 * A request body that is kept while it streams to the upstream, so that it can be sent again after a rejection, even before
 * all of it arrived. The caller is read only as fast as the upstream takes it. A body beyond the limits streams all the same
 * and cannot be sent twice.
 */
export class KeptBody {
  readonly #source: Readable
  readonly #terms: BodyTerms
  #chunks: Buffer[] = []
  #keptBytes = 0
  #kept: boolean
  #ended: boolean
  #following = false
  #reader: Readable | null = null
  #nextChunk = 0
  #wanted = false

  constructor(source: Readable, terms: BodyTerms) {
    this.#source = source
    this.#terms = terms
    this.#kept = (terms.declaredBytes ?? 0) <= terms.limitBytes
    this.#ended = terms.declaredBytes === 0
  }

  /** Whether the body, as far as it arrived, can be sent from its beginning. */
  get isKept(): boolean {
    return this.#kept
  }

  /** Whether the caller has sent all of it. */
  get isComplete(): boolean {
    return this.#ended
  }

  /** The body from its beginning; ends an earlier reading. Only a kept body can be opened a second time. */
  open(): Readable {
    if (this.#reader !== null && !this.#kept) throw new Error('the body is no longer kept')
    this.#reader?.destroy()
    this.#nextChunk = 0
    this.#wanted = false
    const reader = new Readable({
      read: () => {
        this.#wanted = true
        this.#pump()
      },
    })
    this.#reader = reader
    if (!this.#ended && !this.#following) {
      this.#following = true
      this.#source.on('readable', this.#pump)
      this.#source.once('end', this.#onEnd)
    }
    return reader
  }

  /** Forgets the body and lets what is still to come run into nothing. */
  discard(): void {
    this.#source.removeListener('readable', this.#pump)
    this.#source.removeListener('end', this.#onEnd)
    this.#reader?.destroy()
    this.#release()
    this.#source.resume()
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    this.#pump()
  }

  readonly #pump = (): void => {
    const reader = this.#reader
    if (reader === null || reader.destroyed) return
    while (this.#wanted) {
      const chunk = this.#chunks[this.#nextChunk] ?? this.#receive()
      if (chunk === null) break
      this.#nextChunk++
      this.#terms.onProgress()
      this.#wanted = reader.push(chunk)
    }
    if (this.#wanted && this.#ended && this.#nextChunk >= this.#chunks.length) {
      this.#wanted = false
      reader.push(null)
    }
  }

  #receive(): Buffer | null {
    if (!this.#following) return null
    const chunk = this.#source.read() as Buffer | null
    if (chunk === null || !this.#kept) return chunk
    const fits = this.#keptBytes + chunk.length <= this.#terms.limitBytes
    if (fits && this.#terms.memory.take(chunk.length)) {
      this.#chunks.push(chunk)
      this.#keptBytes += chunk.length
    } else {
      this.#release()
      this.#terms.onLost()
    }
    return chunk
  }

  #release(): void {
    this.#terms.memory.giveBack(this.#keptBytes)
    this.#chunks = []
    this.#keptBytes = 0
    this.#kept = false
  }
}
