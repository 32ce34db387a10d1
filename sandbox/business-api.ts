import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { type Product, productOf } from './business/products.ts'
import { BodyError, type Call, type Route, readBody, sendJson } from './call.ts'
import type { Timers } from './clock.ts'
import type { BusinessDisturbance, FaultPlan } from './fault-plan.ts'
import type { BusinessEnding } from './faults.ts'
import { type Gate, tokenOf } from './gate.ts'
import { reset } from './listener.ts'

export interface BusinessApiOptions {
  readonly gate: Gate
  readonly faults: FaultPlan
  readonly timers: Timers
  readonly routes: readonly Route[]
  /** Routes that take no token, such as the storage. */
  readonly openRoutes: readonly Route[]
  /**
   * How much of a rejected call's body is still read after the 401, bytes; the connection is cut beyond it.
   * 0: none, the connection is closed with the 401.
   */
  readonly drainLimitBytes: number
}

const MOST_KEPT_BYTES = 64 * 1024 * 1024

/** The business APIs: judges the token, then lets the route answer. */
export class BusinessApi {
  readonly #options: BusinessApiOptions
  readonly #routes: RouteTable
  readonly #openRoutes: RouteTable

  constructor(options: BusinessApiOptions) {
    this.#options = options
    this.#routes = new RouteTable(options.routes)
    this.#openRoutes = new RouteTable(options.openRoutes)
  }

  handle(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const url = req.url ?? '/'
    const queryAt = url.indexOf('?')
    const path = queryAt === -1 ? url : url.slice(0, queryAt)
    const search = queryAt === -1 ? '' : url.slice(queryAt)
    const open = this.#openRoutes.find(path)
    if (open !== undefined) {
      if (expectsContinue) res.writeContinue()
      return void run(open, { req, res, path, search, token: '', body: req })
    }
    this.#options.gate.noteSecret(req.headers)
    const product = productOf(path)
    const token = tokenOf(req.headers, product.tokenHeaders)
    const call = { req, res, path: path.slice(product.basePath.length), search, token, body: req }
    const met = this.#options.faults.forBusiness(path)
    if (met !== null) return void this.#serveDisturbed(call, product, expectsContinue, met)
    this.#serve(call, product, expectsContinue, null)
  }

  /** The path of every call of a load test: no promise, no closure. */
  #serve(call: Call, product: Product, expectsContinue: boolean, ending: BusinessEnding | null): void {
    if (this.#options.gate.judge(call.token, ending?.kind === 'reject') !== null) {
      return void this.#reject(call, product, expectsContinue)
    }
    if (expectsContinue) call.res.writeContinue()
    const route = this.#routes.find(call.path)
    if (route === undefined) return void sendJson(call.res, 404, { error: 'NOT_FOUND', message: call.path })
    run(route, call)
  }

  async #serveDisturbed(
    call: Call,
    product: Product,
    expectsContinue: boolean,
    met: BusinessDisturbance,
  ): Promise<void> {
    const { timers } = this.#options
    await timers.sleep(met.latencyMs)
    const { ending } = met
    if (ending?.kind === 'reset') return reset(call.req.socket)
    if (ending?.kind === 'status') {
      call.req.resume()
      return sendJson(call.res, ending.status, {
        error: 'SANDBOX_FAULT',
        message: `told to answer ${ending.status}`,
      })
    }
    if (!met.checkAtEnd) return this.#serve(call, product, expectsContinue, ending)
    if (expectsContinue) call.res.writeContinue()
    const kept = await readBody(call.req, MOST_KEPT_BYTES).catch(() => null)
    // The client left, or sent more than is kept: nobody waits for an answer, or nobody should.
    if (kept === null) return void call.req.socket.destroy()
    this.#serve({ ...call, body: Readable.from([kept], { objectMode: false }) }, product, false, ending)
  }

  #reject(call: Call, { rejectedStatus, rejectedBody }: Product, expectsContinue: boolean): void {
    const { req, res } = call
    const { drainLimitBytes } = this.#options
    const bodyComes = hasBody(req) && !expectsContinue && call.body === req
    const close = hasBody(req) && (expectsContinue || drainLimitBytes === 0)
    res.writeHead(rejectedStatus, {
      'content-type': 'application/json',
      'content-length': rejectedBody.length,
      ...(close ? { connection: 'close' } : {}),
    })
    if (!bodyComes || close) return void res.end(rejectedBody)
    if (req.method !== 'HEAD') res.write(rejectedBody)
    // The answer is complete on the wire, but stays open here: ending it now would make Node read the rest unbounded.
    let readBytes = 0
    req.on('data', (chunk: Buffer) => {
      readBytes += chunk.length
      if (readBytes > drainLimitBytes) req.socket.destroy()
    })
    req.once('end', () => res.end())
  }
}

/** Finds the route of a path: the exact one first, then the first whose `/*` covers it. */
class RouteTable {
  readonly #exact = new Map<string, Route>()
  readonly #below: { readonly prefix: string; readonly route: Route }[] = []

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      if (route.path.endsWith('/*')) this.#below.push({ prefix: route.path.slice(0, -1), route })
      else this.#exact.set(route.path, route)
    }
  }

  find(path: string): Route | undefined {
    const exact = this.#exact.get(path)
    if (exact !== undefined) return exact
    for (const { prefix, route } of this.#below) if (path.startsWith(prefix)) return route
    return undefined
  }
}

function run(route: Route, call: Call): void {
  const { req, res } = call
  if (route.methods !== null && !route.methods.includes(req.method ?? '')) {
    res.setHeader('allow', route.methods.join(', '))
    return void sendJson(res, 405, { error: 'METHOD_NOT_ALLOWED', message: `${req.method} ${call.path}` })
  }
  const done = route.handle(call)
  if (done !== undefined) done.catch((error: unknown) => answerFailure(call, error))
}

function answerFailure({ req, res }: Call, error: unknown): void {
  if (res.destroyed) return
  // The rest of an oversized body is not worth reading.
  res.shouldKeepAlive = false
  if (error instanceof BodyError)
    sendJson(res, error.status, { error: 'BODY_INVALID', message: error.message })
  else if (!req.destroyed) sendJson(res, 500, { error: 'SANDBOX_BUG', message: String(error) })
}

function hasBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length']
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}
