import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'

export const NAMESPACE = 'shop'
export const NAME = 'token-sidecar'

export interface FakeKubernetesOptions {
  /** Serves HTTPS with this certificate. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** How often watches that want bookmarks get one. A minute, as in a cluster. */
  readonly bookmarkEveryMs?: number
  /** Sees each request as it came, but for the credential. */
  readonly onRequest?: (text: string) => void
}

type Verb = 'get' | 'patch' | 'watch'

/** What happens to the next requests in place of the rules. */
export interface Fault {
  /** Only to these. */
  readonly verb?: Verb
  /** How many requests; all, until `heal()`, when absent. */
  readonly count?: number
  /** Answers with this status instead of doing anything. */
  readonly status?: number
  /** Sent with the status, seconds. */
  readonly retryAfter?: string
  /** Waits so long before anything happens. */
  readonly delayMs?: number
  /** `reset` before anything happens, `hang` for ever, `lose-answer` after it took effect, `garbage` in place of JSON. */
  readonly kind?: 'reset' | 'hang' | 'lose-answer' | 'garbage'
}

interface SecretObject {
  readonly kind: 'Secret'
  readonly apiVersion: 'v1'
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string }
  readonly type: 'Opaque'
  readonly data?: Readonly<Record<string, string>>
}

interface Watch {
  readonly response: ServerResponse
  silent: boolean
  end(): void
}

/**
 * As much of a Kubernetes API server as a token store needs, with one Secret that one service account may get, patch and
 * watch. Strict about what it is asked: whatever a cluster with a minimal Role would refuse is refused here.
 */
export class FakeKubernetes {
  readonly url: URL
  /** Every request that arrived, `get`, `patch`, `watch`, with the status answered. */
  readonly seen: { verb: Verb; status: number; query: URLSearchParams; token: string }[] = []
  /** How far the `Date` field is off. */
  clockOffsetMs = 0
  readonly #server: ReturnType<typeof createServer>
  readonly #options: FakeKubernetesOptions
  readonly #sockets = new Set<Socket>()
  readonly #watches = new Set<Watch>()
  readonly #tokens = new Set(['first-token'])
  /** Each change with the state after it, oldest first. */
  #history: { readonly type: string; readonly object: SecretObject }[] = []
  #version = 100
  /** Watches cannot begin before this one. */
  #oldest = 0
  #secret: SecretObject | null = null
  #faults: { fault: Fault; left: number }[] = []

  static async start(
    teardown: { after(undo: () => Promise<void>): void },
    options: FakeKubernetesOptions = {},
  ): Promise<FakeKubernetes> {
    const handle = { run: (_request: IncomingMessage, response: ServerResponse) => void response.end() }
    const listener = (request: IncomingMessage, response: ServerResponse) => handle.run(request, response)
    const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const fake = new FakeKubernetes(server, options)
    handle.run = (request, response) => {
      fake.#handle(request, response).catch((error) => response.destroy(error))
    }
    teardown.after(() => fake.close())
    return fake
  }

  private constructor(server: ReturnType<typeof createServer>, options: FakeKubernetesOptions) {
    this.#server = server
    this.#options = options
    const { port } = server.address() as AddressInfo
    this.url = new URL(`http${options.tls === undefined ? '' : 's'}://127.0.0.1:${port}`)
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.create()
  }

  /** The Secret's decoded entries. */
  get entries(): Record<string, unknown> {
    const data = Object.entries(this.#secret?.data ?? {})
    return Object.fromEntries(
      data.map(([key, value]) => [key, JSON.parse(Buffer.from(value, 'base64').toString())]),
    )
  }

  get watches(): number {
    return this.#watches.size
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** Puts an empty Secret in place, as a chart does. */
  create(): void {
    this.#change('ADDED', {})
  }

  delete(): void {
    if (this.#secret !== null) this.#change('DELETED', this.#secret.data ?? {})
    this.#secret = null
  }

  /** Somebody else changes the Secret. */
  touch(data: Record<string, string> = {}): void {
    this.#change('MODIFIED', { ...this.#secret?.data, ...data })
  }

  /** The kubelet renews the token; the old one is good until `expire`. */
  issue(token: string): void {
    this.#tokens.add(token)
  }

  expire(token: string): void {
    this.#tokens.delete(token)
  }

  fail(fault: Fault): void {
    this.#faults.push({ fault, left: fault.count ?? Number.POSITIVE_INFINITY })
  }

  heal(): void {
    this.#faults = []
  }

  /** The server forgets what changed so far: watches from an older version are told 410. */
  compact(): void {
    this.#history = []
    this.#oldest = this.#version
  }

  /** `end`: as the server does after `timeoutSeconds`. `reset`: the connection breaks. `silence`: it dies without a word. */
  breakWatches(how: 'end' | 'reset' | 'silence' | 'gone'): void {
    for (const watch of [...this.#watches]) {
      if (how === 'silence') watch.silent = true
      else if (how === 'end') watch.end()
      else if (how === 'reset') watch.response.destroy()
      else {
        watch.response.write(line({ type: 'ERROR', object: statusOf(410, 'Expired') }))
        watch.end()
      }
    }
  }

  async close(): Promise<void> {
    for (const watch of [...this.#watches]) watch.end()
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.sendDate = false
    response.setHeader('date', new Date(Date.now() + this.clockOffsetMs).toUTCString())
    const url = new URL(request.url ?? '', this.url)
    const query = url.searchParams
    const verb = request.method === 'PATCH' ? 'patch' : query.get('watch') === 'true' ? 'watch' : 'get'
    const body = (await buffer(request)).toString()
    const { authorization: _, ...shown } = request.headers
    this.#options.onRequest?.(`${request.method} ${request.url}\n${JSON.stringify(shown)}\n${body}\n`)
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    const note = (status: number) => void this.seen.push({ verb, status, query, token })
    const answer = (status: number, json: unknown) => {
      note(status)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    }

    const fault = this.#faultFor(verb)
    if (fault?.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.delayMs))
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'reset') return void request.socket.resetAndDestroy()
    if (fault?.kind === 'garbage') return void response.end('<html>the secret of a proxy</html>')
    if (fault?.status !== undefined) {
      if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter)
      return answer(fault.status, statusOf(fault.status, 'Fault'))
    }
    const refusal = this.#refusal(request, url, verb)
    if (refusal !== null) return answer(refusal, statusOf(refusal, 'Refused'))
    if (verb === 'watch') {
      note(200)
      return this.#watch(response, query)
    }
    if (this.#secret === null) return answer(404, statusOf(404, 'NotFound'))
    if (verb === 'get') return answer(200, this.#secret)
    const status = this.#patch(body)
    if (fault?.kind === 'lose-answer') return void request.socket.destroy()
    answer(status, status === 200 ? this.#secret : statusOf(status, 'Conflict'))
  }

  /** What authentication, authorization and content negotiation would answer; null = go on. */
  #refusal(request: IncomingMessage, url: URL, verb: Verb): number | null {
    const { authorization = '', accept, 'content-type': type } = request.headers
    if (!authorization.startsWith('Bearer ') || !this.#tokens.has(authorization.slice(7))) return 401
    const collection = `/api/v1/namespaces/${NAMESPACE}/secrets`
    const one = url.searchParams.get('fieldSelector') === `metadata.name=${NAME}`
    const granted =
      verb === 'watch' ? url.pathname === collection && one : url.pathname === `${collection}/${NAME}`
    if (!granted) return 403
    if (accept !== 'application/json') return 406
    if (verb === 'patch' && type !== 'application/merge-patch+json') return 415
    if (verb === 'patch' ? request.method !== 'PATCH' : request.method !== 'GET') return 405
    return null
  }

  /** RFC 7386, as far as `data` goes; a version is demanded, since a write without one would be no compare-and-set. */
  #patch(text: string): number {
    const { metadata, data, ...rest } = JSON.parse(text) as {
      metadata?: { resourceVersion?: string }
      data?: Record<string, string | null>
    }
    if (metadata?.resourceVersion === undefined || Object.keys(rest).length > 0) return 400
    if (metadata.resourceVersion !== this.#secret?.metadata.resourceVersion) return 409
    const merged: Record<string, string> = { ...this.#secret.data }
    for (const [key, value] of Object.entries(data ?? {})) {
      if (!/^[-._a-zA-Z0-9]+$/.test(key)) return 422
      if (value === null) delete merged[key]
      else if (Buffer.from(value, 'base64').toString('base64') !== value) return 400
      else merged[key] = value
    }
    // A patch that changes nothing leaves the version as it is.
    if (JSON.stringify(merged) !== JSON.stringify(this.#secret.data ?? {})) this.#change('MODIFIED', merged)
    return 200
  }

  #watch(response: ServerResponse, query: URLSearchParams): void {
    const from = query.get('resourceVersion') ?? ''
    response.writeHead(200, { 'content-type': 'application/json' })
    if (from !== '' && Number(from) < this.#oldest) {
      response.end(line({ type: 'ERROR', object: statusOf(410, 'Expired') }))
      return
    }
    response.flushHeaders()
    const watch: Watch = {
      response,
      silent: false,
      end: () => {
        clearInterval(bookmarks)
        clearTimeout(timeout)
        this.#watches.delete(watch)
        response.end()
      },
    }
    this.#watches.add(watch)
    response.once('close', watch.end)
    const wants = query.get('allowWatchBookmarks') === 'true'
    const bookmarks = setInterval(() => {
      const metadata = { resourceVersion: String(this.#version) }
      if (wants && !watch.silent)
        response.write(line({ type: 'BOOKMARK', object: { kind: 'Secret', apiVersion: 'v1', metadata } }))
    }, this.#options.bookmarkEveryMs ?? 60_000)
    const timeout = setTimeout(watch.end, 1_000 * Number(query.get('timeoutSeconds') ?? '1800'))
    if (from === '') {
      if (this.#secret !== null) response.write(line({ type: 'ADDED', object: this.#secret }))
      return
    }
    for (const event of this.#history)
      if (Number(event.object.metadata.resourceVersion) > Number(from)) response.write(line(event))
  }

  #change(type: string, data: Record<string, string>): void {
    this.#version++
    const resourceVersion = String(this.#version)
    const object: SecretObject = {
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: { name: NAME, namespace: NAMESPACE, resourceVersion },
      type: 'Opaque',
      // An empty map is left out, as by a cluster.
      ...(Object.keys(data).length === 0 ? {} : { data }),
    }
    this.#secret = object
    this.#history.push({ type, object })
    for (const watch of this.#watches) if (!watch.silent) watch.response.write(line({ type, object }))
  }

  #faultFor(verb: Verb): Fault | null {
    const found = this.#faults.find(({ fault, left }) => left > 0 && (fault.verb ?? verb) === verb)
    if (found === undefined) return null
    found.left--
    return found.fault
  }
}

function line(event: unknown): string {
  return `${JSON.stringify(event)}\n`
}

function statusOf(code: number, reason: string) {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code }
}
