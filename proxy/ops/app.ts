import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import type { ListenAddress } from '../lib/address.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { TrafficCounters } from '../relay/counters.ts'
import { type AdminDeps, localCallersOnly, quitHandler, rotateHandler } from './admin.ts'
import { type Health, liveness, readiness, startup } from './health.ts'
import { knownHostsOnly } from './known-host.ts'
import type { Runtime } from './metric-families.ts'
import { exposition } from './metrics.ts'
import { ownPagesOnly } from './own-pages.ts'
import { StatusPage } from './page.ts'
import { sendProblem } from './problem.ts'
import { type RouteSummary, type StatusDocument, statusDocument } from './status.ts'

/** What the ops address shows and does; everything is asked for when a request needs it. */
export interface OpsDeps extends AdminDeps {
  readonly version: string
  readonly clock: Clock
  /** Epoch ms. */
  readonly startedAt: number
  readonly routes: readonly RouteSummary[]
  readonly counters: TrafficCounters
  /** Names, besides private ones, that this address is asked for by. */
  readonly allowedHosts: readonly string[]
  readonly lifecycle: {
    /** Configuration is read and the listeners are open. */
    started(): boolean
    draining(): boolean
  }
  /** `process`. */
  readonly runtime: Runtime
  /** Calls back whenever a credential may have changed, which can be often. */
  observe(changed: () => void): Cancel
}

/** Rotation bodies hold one name. */
const BODY_LIMIT_BYTES = 1024

/** The HTTP surface of the ops address. `listener` says how callers reach it: through a socket file they have no address. */
export function opsApp(
  deps: OpsDeps,
  listener: ListenAddress['kind'] = 'tcp',
  page: StatusPage = new StatusPage(deps),
): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', false)
  app.enable('strict routing').enable('case sensitive routing')
  app.use(commonHeaders)

  const { lifecycle, credentials } = deps
  const ready = () =>
    readiness({ started: lifecycle.started(), draining: lifecycle.draining(), credentials: credentials() })

  get(app, '/livez', probe(liveness))
  get(
    app,
    '/startupz',
    probe(() => startup(lifecycle.started())),
  )
  get(app, '/readyz', probe(ready))
  // Not for probes: load balancers ask for them by any name, and they tell next to nothing.
  const known = knownHostsOnly(deps.allowedHosts, deps.log)
  get(app, '/status', known, (_request, response) => void response.json(statusOf(deps, ready())))
  get(app, '/metrics', known, async (_request, response) => {
    const { contentType, body } = await exposition({ ...deps, credentials: credentials() })
    response.set('content-type', contentType).send(body)
  })
  get(app, '/', known, (_request, response) => page.show(response))
  get(app, '/events', known, ownPagesOnly, (request, response) => {
    // A stream that is only asked about ends at once.
    return request.method === 'HEAD' ? void response.type('text/event-stream').end() : page.watch(response)
  })

  const local = localCallersOnly(listener === 'unix', deps.log)
  post(app, '/rotate', local, express.json({ limit: BODY_LIMIT_BYTES, strict: false }), rotateHandler(deps))
  post(app, '/quit', local, quitHandler(deps))

  app.use((_request, response) => {
    sendProblem(response, { status: 404, code: 'route_not_found', detail: 'There is nothing at this path.' })
  })
  app.use(errorHandler(deps))
  return app
}

function statusOf(deps: OpsDeps, health: Health): StatusDocument {
  return statusDocument({
    ...deps,
    now: deps.clock.now(),
    readiness: health,
    credentials: deps.credentials(),
  })
}

/** Nothing here may load, be framed or be sent anywhere; the status page has a policy of its own. */
const POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const commonHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'cache-control': 'no-store',
    'content-security-policy': POLICY,
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  })
  next()
}

function probe(check: () => Health): RequestHandler {
  return (_request, response) => {
    const result = check()
    response.status(result.ok ? 200 : 503).json(result)
  }
}

function get(app: Express, path: string, ...handlers: RequestHandler[]): void {
  app
    .route(path)
    .get(...handlers)
    .all(methodNotAllowed('GET, HEAD'))
}

function post(app: Express, path: string, ...handlers: RequestHandler[]): void {
  app
    .route(path)
    .post(...handlers)
    .all(methodNotAllowed('POST'))
}

function methodNotAllowed(allow: string): RequestHandler {
  return (_request, response) => {
    response.set('allow', allow)
    sendProblem(response, { status: 405, code: 'method_not_allowed', detail: `This path accepts ${allow}.` })
  }
}

/** The caller learns that it failed; what failed is in the log. */
function errorHandler({ log }: OpsDeps): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, request, response, _next) => {
    const status = clientErrorStatus(error)
    if (status === null)
      log.error('ops_request_failed', { path: request.path, method: request.method, error })
    if (response.headersSent) {
      response.destroy()
    } else if (status === null) {
      sendProblem(response, {
        status: 500,
        code: 'internal_error',
        detail: 'The sidecar failed; its log says why.',
      })
    } else {
      const code = status === 413 ? 'request_too_large' : 'request_invalid'
      sendProblem(response, { status, code, detail: 'The request body cannot be read as JSON.' })
    }
  }
}

/** The 4xx status that reading the body ended with (body-parser marks its errors so); null for everything else. */
function clientErrorStatus(error: unknown): number | null {
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error)) return null
  const { status } = error
  return typeof status === 'number' && status >= 400 && status < 500 ? status : null
}
