import type { RecordCall } from '../lib/call-line.ts'
import { afterEvents, type Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { createAdmission } from './admission.ts'
import { callRecorder } from './call-log.ts'
import { Callers } from './callers.ts'
import { ClientConnection } from './client-connection.ts'
import { TrafficCounters } from './counters.ts'
import { Destination } from './destination.ts'
import type { Forwarder, ForwarderOptions, Route } from './forwarder.ts'
import { Listener } from './listener.ts'
import { verifyLlhttp } from './llhttp-check.ts'
import type { RelayContext } from './relay-context.ts'
import { ReplayMemory } from './replay-buffer.ts'
import { requestFields } from './request-fields.ts'
import { Ticker } from './timeouts.ts'
import { UpstreamPool } from './upstream-pool.ts'
import { WaitingLine } from './waiting-line.ts'

export interface RelayDeps {
  readonly clock: Clock
  readonly log: Log
  /** Where the access log goes, if anywhere. */
  readonly recordCall?: RecordCall
}

/** The relay: heads are rewritten, bodies pass through, and llhttp decides which bytes are what. */
export function createRelay(options: ForwarderOptions, deps: RelayDeps): Forwarder {
  verifyLlhttp()
  const { clock, log } = deps
  const counters = new TrafficCounters(options.routes.map((route) => route.name))
  const ticker = new Ticker(clock, Math.min(options.upstreamConnectTimeoutMs, options.upstreamTimeoutMs))
  const pools = new Map<string, UpstreamPool>()
  const context: RelayContext = {
    options,
    clock,
    log,
    counters,
    ticker,
    admission: createAdmission(options),
    destinations: new Map(options.routes.map((route) => [route, destinationOf(route)])),
    requestFields: requestFields(
      [...options.forbiddenHeaders, ...options.routes.map((route) => route.tokenHeader)],
      options.routes.some((route) => route.allow !== null),
    ),
    replayMemory: new ReplayMemory(options.replayMemoryLimitBytes),
    isDraining: false,
    onIdle: null,
    recordCall: callRecorder(options, deps.recordCall),
  }
  const callers = new Callers(options.maxConnections, ticker, log)
  const line = new WaitingLine(ticker, {
    letIn(socket) {
      const hasPlace = callers.makeRoom()
      if (hasPlace) callers.add(new ClientConnection(context, socket, closed))
      return hasPlace
    },
    noteWaiting: () => callers.noteWaiting(),
    noteRefused: () => callers.noteRefused(),
  })
  let onEmpty: (() => void) | null = null
  const listener = new Listener(options.listen, clock, (socket) => {
    if (context.isDraining) socket.destroy()
    else line.join(socket)
  })

  return {
    counters,
    listen: () => listener.open(),
    async drain(signal) {
      // First: a caller that was let in is answered, if only that it is too late.
      listener.close()
      line.clear()
      context.isDraining = true
      // A call that has come and was not read yet is told so, too: all that the system has is read in the next turn.
      await nextTurn()
      await nextTurn()
      await until(signal, (done) => {
        if (counters.inFlight === 0) done()
        context.onIdle = done
      })
      await until(signal, (done) => {
        onEmpty = done
        if (callers.size === 0) done()
        // One that lingers sees to it that its answer arrives.
        for (const client of callers) if (!client.isLingering) client.destroySoon()
      })
      for (const client of callers) client.destroy()
      for (const pool of pools.values()) pool.destroy()
    },
  }

  function closed(client: ClientConnection): void {
    callers.remove(client)
    line.advance()
    if (callers.size === 0) onEmpty?.()
  }

  function destinationOf(route: Route): Destination {
    const { origin } = route.upstream
    let pool = pools.get(origin)
    if (pool === undefined) {
      const pooling = { connectTimeoutMs: options.upstreamConnectTimeoutMs, tls: options.upstreamTls }
      pool = new UpstreamPool(new URL(origin), pooling, ticker, counters)
      pools.set(origin, pool)
    }
    const routeCounters = counters.routes.get(route.name)
    if (routeCounters === undefined) throw new RangeError(`no counters for route ${route.name}`)
    return new Destination(route, pool, routeCounters)
  }
}

/** Resolves when all events that are known by now have been dealt with. */
function nextTurn(): Promise<void> {
  return new Promise(afterEvents)
}

/** Resolves when `begin` calls back, or `signal` aborts. */
function until(signal: AbortSignal, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve()
      return
    }
    signal.addEventListener('abort', () => resolve(), { once: true })
    begin(resolve)
  })
}
