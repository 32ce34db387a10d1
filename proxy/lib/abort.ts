import type { Clock } from './clock.ts'

/** A signal that aborts after a time, and what releases its timer when the work is over. */
export interface Deadline {
  readonly signal: AbortSignal
  readonly clear: () => void
}

/** Aborts with a `TimeoutError` after `delayMs`, or with the parent's reason when that aborts first. */
export function deadline(clock: Clock, delayMs: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController()
  const onParent = () => {
    clear()
    controller.abort(parent?.reason)
  }
  const cancel = clock.after(delayMs, () => {
    parent?.removeEventListener('abort', onParent)
    controller.abort(new DOMException(`not done within ${delayMs} ms`, 'TimeoutError'))
  })
  function clear(): void {
    cancel()
    parent?.removeEventListener('abort', onParent)
  }
  if (parent?.aborted) onParent()
  else parent?.addEventListener('abort', onParent, { once: true })
  return { signal: controller.signal, clear }
}

/** `work`, or the signal's reason if that aborts first. Work that ignores its signal goes on unseen; its failure is swallowed. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/**
 * Resolves when the signal aborts. Race several of these rather than use `AbortSignal.any`, whose result Node 20 may
 * collect, listeners and all, while it is waited for.
 */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
