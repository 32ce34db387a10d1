import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { endsReading, type Sending, sendingOf } from './messages.ts'
import type { Quiescence } from './quiescence.ts'
import type { CallerScript } from './script.ts'

/** A caller that does what its script says, and remembers what it got. */
export class HostileCaller {
  /** Its calls in order, up to the last that may be read as one. */
  readonly sendings: readonly Sending[]
  /** Calls that must never be seen. */
  readonly hidden: readonly Sending[]
  readonly #bytes: Buffer
  readonly #script: CallerScript
  readonly #quiescence: Quiescence
  readonly #received: Buffer[] = []
  #socket: Socket | null = null
  /** By the other side, in order, as far as a caller can tell that has not ended its own side: nothing more will come. */
  hasEnded = false
  isClosed = false
  /** It ended the connection itself, or half of it. */
  hasLeft = false

  constructor(name: string, script: CallerScript, quiescence: Quiescence) {
    this.#script = script
    this.#quiescence = quiescence
    const all = script.calls.map((call, at) => sendingOf(`${name}.${at}`, call))
    const last = all.findIndex(endsReading)
    this.sendings = last === -1 ? all : all.slice(0, last + 1)
    this.hidden = last === -1 ? [] : all.slice(last + 1)
    // What follows half a body would be the rest of it.
    const sent = all[last]?.call.isShort === true ? this.sendings : all
    this.#bytes = Buffer.from(sent.map(({ bytes }) => bytes).join(''), 'latin1')
  }

  get received(): string {
    return Buffer.concat(this.#received).toString('latin1')
  }

  async play(port: number): Promise<void> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.#socket = socket
    const { moved } = this.#quiescence
    socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes)
      moved()
    })
    socket.on('end', () => {
      // libuv tells a reset that stands behind the last bytes as an end, too. One byte more fails at once if it was one.
      if (!socket.writable) {
        moved()
        return
      }
      socket.write('\n', (error) => {
        this.hasEnded = !error
        moved()
        socket.end()
      })
    })
    socket.on('error', moved)
    socket.on('close', () => {
      this.isClosed = true
      moved()
    })
    await once(socket, 'connect')
    let sent = 0
    const send = (upTo: number) => {
      if (upTo > sent && socket.writable) socket.write(this.#bytes.subarray(sent, upTo))
      sent = Math.max(sent, upTo)
    }
    for (const step of this.#script.steps) {
      if (this.isClosed) return
      if (step.kind === 'send') send(sent + Math.ceil((this.#bytes.length - sent) * step.share))
      else if (step.kind === 'turns') await this.#quiescence.turns(step.count)
      else if (step.kind === 'time') await this.#quiescence.pass(step.ms)
      else if (step.kind === 'pause') socket.pause()
      else if (step.kind === 'resume') socket.resume()
      else {
        // Node cannot reset a connection that it is about to half-close: the handle would stay open.
        if (step.kind === 'half-close') socket.end()
        else if (this.hasLeft) socket.destroy()
        else socket.resetAndDestroy()
        this.hasLeft = true
      }
    }
    if (!this.hasLeft) send(this.#bytes.length)
    socket.resume()
  }

  destroy(): void {
    this.#socket?.destroy()
  }
}
