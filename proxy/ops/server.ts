import { createServer, type RequestListener, type Server } from 'node:http'
import type { ListenAddress } from '../lib/address.ts'
import { bind } from '../lib/bind.ts'
import type { OpsDeps } from './app.ts'
import { StatusPage } from './page.ts'

export type { OpsDeps } from './app.ts'

/** The listener for operators, probes and Prometheus. */
export interface Ops {
  /** Opens the listener; resolves to the address bound. Rejects with the system error. */
  listen(address: ListenAddress): Promise<string>
  /** To be called each second. */
  tick(): void
  /** Accepts nothing new, lets answers under way finish for a moment, then cuts what is open. Harmless when not listening. */
  close(): Promise<void>
}

/** Probes and scrapes are small and quick; these bounds keep a slow or hostile client from holding the address. */
const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
}
const MAX_CONNECTIONS = 256
const CLOSE_GRACE_MS = 500

/** Builds the ops address; nothing is opened before `listen()`. */
export function createOps(deps: OpsDeps): Ops {
  let server: Server | null = null
  const page = new StatusPage(deps)
  return {
    tick: () => page.tick(),
    async listen(address) {
      const opened = createServer(LIMITS, whenAsked(deps, address.kind, page))
      opened.maxConnections = MAX_CONNECTIONS
      const bound = await bind(opened, address)
      // accept() may still fail later, for want of file descriptors; that must not end the process.
      opened.on('error', (error) => deps.log.warn('ops_listener_failed', { error }))
      server = opened
      return bound
    },
    async close() {
      const open = server
      server = null
      page.close()
      if (open === null) return
      await new Promise<void>((resolve) => {
        const cancel = deps.clock.after(CLOSE_GRACE_MS, () => open.closeAllConnections())
        open.close(() => {
          cancel()
          resolve()
        })
      })
    },
  }
}

/** Express comes with the first request: loading it takes as long as half of what a call waits for at the start. */
function whenAsked(deps: OpsDeps, listener: ListenAddress['kind'], page: StatusPage): RequestListener {
  let app: RequestListener | null = null
  return (request, response) => {
    if (app !== null) {
      app(request, response)
      return
    }
    import('./app.ts').then(
      ({ opsApp }) => {
        app ??= opsApp(deps, listener, page)
        app(request, response)
      },
      (error: unknown) => {
        // The program's files were replaced or taken away under it. Calls do not depend on them any more.
        deps.log.error('ops_request_failed', { path: request.url, method: request.method, error })
        response.destroy()
      },
    )
  }
}
