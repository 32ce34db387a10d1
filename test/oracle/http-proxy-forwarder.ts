import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { bind } from '../../proxy/lib/bind.ts'
import type { RecordCall } from '../../proxy/lib/call-line.ts'
import type { Clock } from '../../proxy/lib/clock.ts'
import type { ProblemCode } from '../../proxy/lib/errors.ts'
import type { Log } from '../../proxy/lib/log.ts'
import { createAdmission } from '../../proxy/relay/admission.ts'
import { TrafficCounters } from '../../proxy/relay/counters.ts'
import type { Forwarder, ForwarderOptions } from '../../proxy/relay/forwarder.ts'
import { problemFor } from '../../proxy/relay/problem.ts'
import { ReplayMemory } from '../../proxy/relay/replay-buffer.ts'
import { createRequestFields } from './forwarded-headers.ts'
import { createUpstreamConnections } from './http-proxy-agent.ts'
import { Call, type CallContext, headOf, LINGER_MS } from './http-proxy-call.ts'
import { createExchange } from './http-proxy-exchange.ts'
import { collectEarlyBytes } from './http-proxy-tunnel.ts'

/** Longer than clients keep idle connections, so that it is seldom we who close one a client is about to use. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000

/** How long a connection may take over the head of a request. */
const HEAD_TIMEOUT_MS = 30_000

/**
 * The engine on the http-proxy package and node:http. The relay is faster; this one is kept as its yardstick and as the
 * oracle of differential tests, which is why it shares admission, paths, masking and problems with it and nothing else.
 */
export function createHttpProxyForwarder(
  options: ForwarderOptions,
  deps: { readonly clock: Clock; readonly log: Log; readonly recordCall: RecordCall },
): Forwarder {
  const { clock, log, recordCall } = deps
  const counters = new TrafficCounters(options.routes.map((route) => route.name))
  const connections = createUpstreamConnections(options.upstreamTls, counters)
  let draining = false
  const context: CallContext = {
    options,
    admit: createAdmission(options),
    fields: createRequestFields(options),
    exchange: createExchange(connections, clock, options.upstreamConnectTimeoutMs),
    memory: new ReplayMemory(options.replayMemoryLimitBytes),
    counters,
    clock,
    log,
    recordCall,
    isDraining: () => draining,
  }
  const callers = new Set<Socket>()
  /** The call begun last on a connection. */
  const latest = new WeakMap<Socket, Call>()
  /** When everything that arrived on a connection so far has been answered. */
  const turns = new WeakMap<Socket, Promise<void>>()
  let onIdle: (() => void) | null = null

  const server = createServer({
    maxHeaderSize: options.maxHeaderBytes,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    headersTimeout: HEAD_TIMEOUT_MS,
    // Uploads may take as long as they go on; silence is watched by each call.
    requestTimeout: 0,
    connectionsCheckingInterval: 5_000,
  })
  // Node would drop fields beyond 2000 without a word; the size of the head is limited anyway.
  server.maxHeadersCount = 0
  server.maxConnections = options.maxConnections
  server.on('connection', (socket) => {
    callers.add(socket)
    socket.once('close', () => callers.delete(socket))
  })
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', (request, socket, head) => onUpgrade(request, socket as Socket, head))
  server.on('connect', (request, socket) => {
    const verdict = context.admit(headOf(request))
    refuse(socket as Socket, typeof verdict === 'string' ? verdict : 'request_invalid')
  })
  server.on('clientError', (error, socket) => onClientError(error, socket as Socket))

  return {
    counters,
    listen: () => bind(server, options.listen),
    async drain(signal) {
      draining = true
      const closed = new Promise<void>((resolve) => {
        // Not `server.close()` of node:http, which would also cut idle connections: calls on those get an answer.
        NetServer.prototype.close.call(server, () => resolve())
      })
      await callsEnded(signal)
      connections.close()
      for (const socket of callers) socket.destroy()
      await closed
      // Closed already, this ends what node:http does every few seconds while it is not.
      server.close()
    },
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    inTurn(request.socket, () => run(new Call(context, request, response, false), nothing))
  }

  async function run(call: Call, takeEarlyBytes: () => Buffer): Promise<void> {
    latest.set(call.request.socket, call)
    void call.run(takeEarlyBytes)
    await call.done
    if (counters.inFlight === 0) onIdle?.()
  }

  /** Node hands over pipelined requests at once; each is begun when the answer before it is out (RFC 9112, section 9.3.2). */
  function inTurn(socket: Socket, begin: () => Promise<void> | undefined): void {
    const before = turns.get(socket)
    const turn = before === undefined ? begin() : before.then(() => (socket.destroyed ? undefined : begin()))
    if (turn !== undefined) turns.set(socket, turn)
  }

  function onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    inTurn(socket, () => {
      if (!isWebsocket(request)) {
        // Java's HttpClient asks for h2c with every first call and expects that to be ignored (RFC 9110, section 7.8).
        socket.unshift(withoutUpgrade(request, head))
        server.emit('connection', socket)
        return
      }
      // Bytes that are a body to one side and the first frames to the other.
      if (hasBody(request)) return refuse(socket, 'request_invalid')
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      response.once('finish', () => endSlowly(socket))
      return run(new Call(context, request, response, true), collectEarlyBytes(socket, head))
    })
  }

  function onClientError(error: Error, socket: Socket): void {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const problem = problemOf(code)
    const call = latest.get(socket)
    if (call !== undefined && !call.request.complete) call.fail(problem)
    else inTurn(socket, () => refuse(socket, problem))
  }

  /** Answers where node:http has no response object: bad HTTP, CONNECT. The connection ends with it. */
  function refuse(socket: Socket, code: ProblemCode): undefined {
    counters.problem(code)
    const { status, reason, headers, body } = problemFor(code)
    if (options.accessLog !== 'off') {
      recordCall({
        method: null,
        route: null,
        path: null,
        status,
        durationMs: 0,
        code,
        replayed: false,
        requestId: null,
        traceId: null,
      })
    }
    const lines = [...headers, ['connection', 'close']].map(([name, value]) => `${name}: ${value}`)
    socket.write(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
    endSlowly(socket)
  }

  /** Ends our side and lets the caller's bytes run into nothing for a while: a reset would take the answer from it. */
  function endSlowly(socket: Socket): void {
    socket.end()
    socket.resume()
    const cancel = clock.after(LINGER_MS, () => socket.destroy())
    socket.once('close', cancel)
  }

  function callsEnded(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (counters.inFlight === 0 || signal.aborted) return resolve()
      onIdle = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}

const nothing = () => Buffer.alloc(0)

function problemOf(code: string | undefined): ProblemCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'request_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  return 'request_invalid'
}

function isWebsocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || !/^0*$/.test(headers['content-length'] ?? '')
}

/** The request as it was received but for its `Upgrade` fields, so that it is parsed once more as a plain call. */
function withoutUpgrade(request: IncomingMessage, head: Buffer): Buffer {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  const fields = request.rawHeaders
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== 'upgrade') lines.push(`${fields[at]}: ${fields[at + 1]}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
}
