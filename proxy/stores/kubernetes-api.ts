import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import type { Clock } from '../lib/clock.ts'

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

  constructor(status: number, what: string) {
    super(`the API server answered ${status} to ${what}`)
    this.name = 'KubernetesError'
    this.status = status
  }
}

interface ApiRequest {
  readonly method: 'GET' | 'PATCH'
  readonly path: string
  readonly body?: unknown
  readonly signal: AbortSignal
}

const TOKEN_AGE_MS = 60_000
const LARGEST_ANSWER_BYTES = 4 * 1024 * 1024

/**
 * The few requests a token store needs, over node:https: a tenth of the memory of the official client, see
 * docs/decisions/0003-kubernetes-client.md.
 */
export class KubernetesApi {
  readonly #access: KubernetesAccess
  readonly #clock: Clock
  readonly #agent: Agent
  #token: { readonly value: string; readonly readAt: number } | null = null

  constructor(access: KubernetesAccess, clock: Clock) {
    this.#access = access
    this.#clock = clock
    const tls = access.apiUrl.protocol === 'https:'
    this.#agent = tls ? new TlsAgent({ keepAlive: true, ca: access.ca }) : new Agent({ keepAlive: true })
  }

  /** The parsed body, and the answer's `Date`. Rejects with `KubernetesError`, a system error or the signal's reason. */
  async ask(request: ApiRequest): Promise<{ readonly json: unknown; readonly date: string | undefined }> {
    const response = await this.#send(request)
    const text = await readAll(response)
    return { json: JSON.parse(text), date: response.headers.date }
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
      for (const line of lines) if (line !== '') yield JSON.parse(line)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(request: ApiRequest): Promise<IncomingMessage> {
    const response = await this.#sendOnce(request)
    if (response.statusCode !== 401) return accepted(response, request)
    // The token was renewed and the old one has run out: once more with what the file holds now.
    response.resume()
    this.#token = null
    return accepted(await this.#sendOnce(request), request)
  }

  async #sendOnce({ method, path, body, signal }: ApiRequest): Promise<IncomingMessage> {
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
      send(new URL(path, apiUrl), { method, headers, agent: this.#agent, signal }, resolve)
        .once('error', reject)
        .end(payload)
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

async function accepted(response: IncomingMessage, request: ApiRequest): Promise<IncomingMessage> {
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) return response
  response.resume()
  throw new KubernetesError(status, `${request.method} ${request.path.replace(/\?.*/, '')}`)
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
