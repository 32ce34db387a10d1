import { once } from 'node:events'
import {
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/server.ts'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test states what it expects by asserting on it
  json: () => any
}

export interface Sending {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
  agent?: Agent
  signal?: AbortSignal
}

/** Starts a sandbox that the test's end closes. */
export async function sandboxFor(test: TestContext, options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(options)
  test.after(() => sandbox.close())
  return sandbox
}

/** Sends one request on a connection of its own. Rejects with the system error when it is cut. */
export async function send(url: string, { body, ...rest }: Sending = {}): Promise<Answer> {
  const req = begin(url, rest)
  req.end(body)
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const received = await buffer(res)
  const text = received.toString()
  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    body: received,
    text,
    json: () => JSON.parse(text),
  }
}

/** A request whose body the test writes. */
export function begin(url: string, { agent, ...rest }: Omit<Sending, 'body'> = {}): ClientRequest {
  return request(url, { ...rest, agent: agent ?? false })
}

/** Asks the token API as a client with `secret`. */
export function mint(sandbox: Sandbox, secret = 'demo-secret', sending: Sending = {}): Promise<Answer> {
  const headers = { 'x-clear-client-secret': secret, ...sending.headers }
  return send(sandbox.tokenUrl, { ...sending, headers })
}

/** Mints and returns the token. */
export async function tokenFrom(sandbox: Sandbox, secret = 'demo-secret'): Promise<string> {
  return (await mint(sandbox, secret)).json().access_token
}

/** Sends a business call with the token. */
export function call(sandbox: Sandbox, path: string, token: string, sending: Sending = {}): Promise<Answer> {
  const headers = { 'x-cleartax-auth-token': token, ...sending.headers }
  return send(sandbox.url + path, { ...sending, headers })
}

/** Sends JSON to the control endpoint, or asks it. */
export function control(sandbox: Sandbox, method: string, name: string, input?: unknown): Promise<Answer> {
  const body = input === undefined ? {} : { body: JSON.stringify(input) }
  return send(sandbox.controlUrl + name, { method, ...body })
}
