import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import httpProxy from 'http-proxy'
import type { Clock } from '../../proxy/lib/clock.ts'
import { ProblemError } from '../../proxy/lib/errors.ts'
import type { UpstreamConnections } from './http-proxy-agent.ts'

const NOTHING = Buffer.alloc(0)

/** One request to the upstream, complete: nothing is added to it below. */
export interface UpstreamRequest {
  readonly upstream: URL
  readonly method: string
  readonly target: string
  readonly header: Record<string, string | string[]>
  /** Null for an upgrade. */
  readonly body: Readable | null
  /** Whether any bytes of it are to be expected. */
  readonly hasBody: boolean
  /** Trailers, asked for when the body has ended. */
  readonly trailers: () => [name: string, value: string][]
  /** False: on a connection of its own. */
  readonly pooled: boolean
  /** Called with the request as soon as there is something to destroy; it is not on the wire yet. */
  readonly onRequest: (request: ClientRequest) => void
  readonly onInformation: (status: number, rawHeaders: string[]) => void
}

/** The head of the upstream's answer; its body waits to be read. */
export interface UpstreamAnswer {
  readonly request: ClientRequest
  readonly message: IncomingMessage
  /** The connection and the first bytes on it, when the upstream switched protocols. */
  readonly tunnel: { readonly socket: Duplex; readonly head: Buffer } | null
}

/** A pooled connection turned out to be closed before anything was answered: the call may be sent again if it is idempotent. */
export class StaleConnectionError extends ProblemError {
  constructor(cause: unknown) {
    super('upstream_protocol_error', { cause })
    this.name = 'StaleConnectionError'
  }
}

/** Sends one request and resolves to the head of its answer; rejects with a `ProblemError`. */
export type Exchange = (request: UpstreamRequest) => Promise<UpstreamAnswer>

/** What http-proxy is given for the caller's request. Everything it would read, change or listen to is under our control. */
interface StandIn {
  readonly method: string
  readonly url: string
  readonly headers: object
  /** Never says destroyed: http-proxy would then keep errors to itself. */
  readonly socket: { readonly destroyed: false }
  on(): void
  onRequest(request: ClientRequest): void
  onAnswer(message: IncomingMessage): void
}

/**
 * http-proxy empties the body's framing of DELETE and OPTIONS calls without this field and sends the body all the same
 * (CVE-2026-29057). It looks here and, since the field is inherited, never copies it.
 */
const DECOY = { 'content-length': 'stated by the forwarder' }

/** Exchanges over the http-proxy package, upgrades over node:http alone: http-proxy passes their answers on unfiltered. */
export function createExchange(
  connections: UpstreamConnections,
  clock: Clock,
  connectTimeoutMs: number,
): Exchange {
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true, toProxy: true, secure: true })
  proxy.on('proxyReq', (request, standIn) => (standIn as unknown as StandIn).onRequest(request))
  proxy.on('proxyRes', (message, standIn) => (standIn as unknown as StandIn).onAnswer(message))

  return (call) =>
    new Promise((resolve, reject) => {
      let sent: ClientRequest | null = null
      let connected = false
      const onError = (error: Error) => reject(problemOf(error, connected, sent?.reusedSocket === true))
      const onRequest = (request: ClientRequest) => {
        sent = request
        // http-proxy merges slashes; setting the path here keeps it byte-exact, since nothing is written before this event.
        request.path = call.target
        const socket = request.socket as Socket
        connections.claim(socket)
        connected = request.reusedSocket || !socket.connecting
        if (!connected) awaitConnection(request, socket)
        request.on('information', ({ statusCode, rawHeaders }) => call.onInformation(statusCode, rawHeaders))
        request.once('close', () => onError(new Error('closed without an answer')))
        call.onRequest(request)
        // The upstream may answer before the body comes, or instead. `flushHeaders` would write the head as UTF-8.
        if (call.hasBody) request.write(NOTHING)
      }
      const onAnswer = (message: IncomingMessage, tunnel: UpstreamAnswer['tunnel'] = null) => {
        // Whoever reads the message learns of a failure from `complete`; until then it must not be an unhandled error.
        message.on('error', () => {})
        if (sent !== null) resolve({ request: sent, message, tunnel })
      }

      if (call.body === null) {
        const request = requesterFor(call.upstream)({
          ...addressOf(call),
          agent: connections.agent(call.upstream, false),
        })
        request.once('socket', () => onRequest(request))
        request.once('response', (message) => onAnswer(message))
        request.once('upgrade', (message, socket, head) => onAnswer(message, { socket, head }))
        request.on('error', onError)
        request.end()
        return
      }
      call.body.once('end', () => {
        const trailers = call.trailers()
        if (trailers.length > 0) sent?.addTrailers(trailers)
      })
      const { hostname, port, headers } = addressOf(call)
      const standIn: StandIn = {
        method: call.method,
        url: call.target,
        headers: Object.create(DECOY) as object,
        socket: { destroyed: false },
        on() {},
        onRequest,
        onAnswer: (message) => onAnswer(message),
      }
      proxy.web(
        standIn as unknown as IncomingMessage,
        {} as http.ServerResponse,
        {
          target: { protocol: call.upstream.protocol, host: hostname, hostname, port } as never,
          headers: headers as Record<string, string>,
          agent: connections.agent(call.upstream, call.pooled),
          buffer: call.body,
        },
        onError,
      )

      function awaitConnection(request: ClientRequest, socket: Socket): void {
        const cancel = clock.after(connectTimeoutMs, () => {
          request.destroy(new ProblemError('upstream_unreachable', { detail: 'connect timeout' }))
        })
        socket.once(call.upstream.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
          connected = true
          cancel()
        })
        socket.once('close', cancel)
      }
    })
}

function addressOf({ upstream, method, target, header }: UpstreamRequest) {
  return {
    // A URL holds an IPv6 address in brackets, a socket wants it without.
    hostname: upstream.hostname.replace(/^\[|\]$/g, ''),
    port: upstream.port === '' ? (upstream.protocol === 'https:' ? '443' : '80') : upstream.port,
    method,
    path: target,
    headers: header,
  }
}

function requesterFor(upstream: URL): typeof http.request {
  return upstream.protocol === 'https:' ? https.request : http.request
}

function problemOf(error: Error, connected: boolean, reused: boolean): ProblemError {
  if (error instanceof ProblemError) return error
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (reused && (code === 'ECONNRESET' || code === 'EPIPE')) return new StaleConnectionError(error)
  return new ProblemError(connected ? 'upstream_protocol_error' : 'upstream_unreachable', { cause: error })
}
