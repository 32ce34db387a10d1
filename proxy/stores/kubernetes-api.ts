import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { VERIFIED } from '../lib/tls.ts'

/** Where the API server is and as whom it is asked; in a pod, the projected service account volume. */
export interface KubernetesAccess {
  /** `https://10.96.0.1:443`. */
  readonly apiUrl: URL
  /** The cluster's certificate authority, trusted for this connection only. */
  readonly ca: string | undefined
  /** Reads the service account token. The kubelet renews it, so it is read again each minute and after a 401. */
  readonly readToken: () => Promise<string>
}

/** A request that the API server refused. */
export class KubernetesError extends Error {
  /** HTTP status, or the `code` of a watch's ERROR event. */
  readonly status: number
  /** The same as a word, for who prints codes: `HTTP_403`. */
  readonly code: string

  constructor(status: number, what: string) {
    super(`the API server answered ${status} to ${what}`)
    this.name = 'KubernetesError'
    this.status = status
    this.code = `HTTP_${status}`
  }
}

interface ApiRequest {
  readonly method: 'GET' | 'PATCH'
  readonly path: string
  readonly body?: unknown
  readonly signal: AbortSignal
}

export interface KubernetesAnswer {
  readonly json: unknown
  /** The `Date` field. */
  readonly date: string | undefined
}

const TOKEN_AGE_MS = 60_000
const REQUEST_TIMEOUT_MS = 1_000
const LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
const UNAUTHORIZED = 401
const TOO_MANY_REQUESTS = 429
const LONGEST_RETRY_AFTER_S = 60

/**
 * The few requests a token store needs, over node:https: a tenth of the memory of the official client, see
 * docs/decisions/0003-kubernetes-client.md.
 */
export class KubernetesApi {
  readonly #access: KubernetesAccess
  readonly #clock: Clock
  readonly #agent: Agent
  /** Monotonic ms until which the server asked to be left alone. */
  #quietUntil = Number.NEGATIVE_INFINITY
  #token: { readonly value: string; readonly readAt: number } | null = null

  constructor(access: KubernetesAccess, clock: Clock) {
    this.#access = access
    this.#clock = clock
    const tls = access.apiUrl.protocol === 'https:'
    this.#agent = tls
      ? new TlsAgent({ ...VERIFIED, keepAlive: true, ca: access.ca })
      : new Agent({ keepAlive: true })
  }

  /** Rejects with `KubernetesError`, a system error, a `TimeoutError` after about a second, or the signal's reason. */
  async ask(request: ApiRequest): Promise<KubernetesAnswer> {
    const bound = deadline(this.#clock, REQUEST_TIMEOUT_MS, request.signal)
    try {
      const response = await this.#send({ ...request, signal: bound.signal })
      return { json: parsed(await readAll(response)), date: response.headers.date }
    } catch (error) {
      // Node wraps the reason in an error of its own.
      throw bound.signal.aborted ? bound.signal.reason : error
    } finally {
      bound.clear()
    }
  }

  /** Yields the events of a watch until the server ends it; a path with `watch=true`. Rejects as `ask` does. */
  async *watch(path: string, signal: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.#send({ method: 'GET', path, signal })
    response.setEncoding('utf8')
    let rest = ''
    for await (const piece of response as AsyncIterable<string>) {
      const lines = (rest + piece).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LARGEST_ANSWER_BYTES) throw new Error('an event of the watch is too long')
      for (const line of lines) if (line !== '') yield parsed(line)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(request: ApiRequest): Promise<IncomingMessage> {
    const what = `${request.method} ${request.path.replace(/\?.*/, '')}`
    if (this.#clock.monotonic() < this.#quietUntil) throw new KubernetesError(TOO_MANY_REQUESTS, what)
    let response = await this.#sendOnce(request)
    if (response.statusCode === UNAUTHORIZED) {
      // The token was renewed and the old one has run out: once more with what the file holds now.
      response.resume()
      this.#token = null
      response = await this.#sendOnce(request)
    }
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    response.resume()
    if (status === UNAUTHORIZED) this.#token = null
    const retryAfterS = Number(response.headers['retry-after'])
    if (retryAfterS > 0)
      this.#quietUntil = this.#clock.monotonic() + 1_000 * Math.min(retryAfterS, LONGEST_RETRY_AFTER_S)
    throw new KubernetesError(status, what)
  }

  async #sendOnce({ method, path, body, signal }: ApiRequest): Promise<IncomingMessage> {
    signal.throwIfAborted()
    const { apiUrl } = this.#access
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      accept: 'application/json',
      authorization: `Bearer ${await this.#bearer()}`,
      ...(payload === undefined
        ? {}
        : { 'content-type': 'application/merge-patch+json', 'content-length': Buffer.byteLength(payload) }),
    }
    const send = apiUrl.protocol === 'https:' ? requestHttps : requestHttp
    return new Promise((resolve, reject) => {
      const request = send(new URL(path, apiUrl), { method, headers, agent: this.#agent, signal }, resolve)
      request.once('error', (error: NodeJS.ErrnoException) => {
        // The server had closed a kept connection that was idle. Every operation begins with a GET, so it meets nothing else.
        const stale = request.reusedSocket && error.code === 'ECONNRESET' && method === 'GET'
        if (stale && !signal.aborted) resolve(this.#sendOnce({ method, path, signal }))
        else reject(error)
      })
      request.end(payload)
    })
  }

  async #bearer(): Promise<string> {
    const now = this.#clock.monotonic()
    if (this.#token === null || now - this.#token.readAt > TOKEN_AGE_MS) {
      this.#token = { value: (await this.#access.readToken()).trim(), readAt: now }
    }
    return this.#token.value
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Without the cause: its message quotes the text.
    throw new Error('the answer is not JSON')
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > LARGEST_ANSWER_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
