import type { Duplex } from 'node:stream'
import type { Clock } from '../../proxy/lib/clock.ts'

/** More than a caller has reason to send before the switch; beyond it, it has to wait. */
const MOST_EARLY_BYTES = 64 * 1024

/**
 * Reads on while the upstream decides about an upgrade, so that a caller that leaves is noticed. Returns a function that
 * stops and gives what came, `head` first.
 */
export function collectEarlyBytes(caller: Duplex, head: Buffer): () => Buffer {
  const pieces = [head]
  let bytes = head.length
  const onData = (piece: Buffer) => {
    pieces.push(piece)
    bytes += piece.length
    if (bytes >= MOST_EARLY_BYTES) caller.pause()
  }
  const onEnd = () => caller.destroy()
  caller.on('data', onData)
  caller.once('end', onEnd)
  return () => {
    caller.pause()
    caller.removeListener('data', onData)
    caller.removeListener('end', onEnd)
    return Buffer.concat(pieces)
  }
}

/** How long one side may go on after the other has ended. */
const HALF_CLOSED_MS = 1_000

/**
 * Joins the two connections of an upgrade until one ends: then the other is ended too, after what was still on its way.
 * Calls `onEnd` once, when both are closed.
 */
export function joinTunnel(caller: Duplex, upstream: Duplex, clock: Clock, onEnd: () => void): void {
  let open = 2
  let cancel: (() => void) | null = null
  const destroy = () => {
    caller.destroy()
    upstream.destroy()
  }
  const onHalfClosed = () => {
    cancel ??= clock.after(HALF_CLOSED_MS, destroy)
  }
  const onClose = () => {
    destroy()
    if (--open > 0) return
    cancel?.()
    onEnd()
  }
  for (const [from, to] of [
    [caller, upstream],
    [upstream, caller],
  ] as const) {
    from.on('error', destroy)
    from.once('end', onHalfClosed)
    // Data still being written to this side when the other one closed would be lost by destroying both at once.
    from.once('close', () =>
      to.writableLength > 0 && !from.errored ? to.once('finish', onClose) : onClose(),
    )
    from.pipe(to)
  }
}
