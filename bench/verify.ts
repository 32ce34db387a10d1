import { createHash, randomBytes } from 'node:crypto'
import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { TOKEN_HEADER } from './contestants/contestant.ts'
import { bodyBytes } from './scenarios.ts'
import type { Arrived } from './upstream-types.ts'

/** Where the load goes, and what must come of it. */
export interface Target {
  /** `http://127.0.0.1:port`, or https for the upstream itself. */
  readonly url: string
  /** The token that the upstream must see, or null when there is no proxy to inject one. */
  readonly token: string | null
  /** The CA to verify an https target with. */
  readonly ca?: string
}

interface Answer {
  readonly status: number
  readonly body: Buffer
  /** Whether the client's connection had carried a request before. */
  readonly reused: boolean
}

/**
 * Checks that the target does what it will be timed for: injects the token once, replaces forged ones, passes bodies both ways
 * unharmed, and keeps connections alive on both sides. Returns what is wrong, or null.
 */
export async function verify(target: Target): Promise<string | null> {
  const agent = agentFor(target)
  const call = (
    method: string,
    path: string,
    headers: Record<string, string | string[]> = {},
    body?: Buffer,
  ) => send(target, agent, method, path, headers, body)
  try {
    const plain = await call('GET', '/verify')
    const wrong =
      wrongToken(target, plain, 'a plain request') ??
      (await forgery(target, call)) ??
      (await upload(call, bodyBytes.post)) ??
      (await upload(call, bodyBytes.huge)) ??
      (await download(call, '/large', bodyBytes.large, 'l')) ??
      (await download(call, '/huge', bodyBytes.huge, 'h'))
    return wrong ?? (await keepAlive(call))
  } catch (error) {
    return `a request failed: ${(error as Error).message}`
  } finally {
    agent.destroy()
  }
}

/** Whether a GET through the target is answered 200. */
export async function answers(target: Target): Promise<boolean> {
  const agent = agentFor(target)
  try {
    return (await send(target, agent, 'GET', '/small', {})).status === 200
  } catch {
    return false
  } finally {
    agent.destroy()
  }
}

type Call = (
  method: string,
  path: string,
  headers?: Record<string, string | string[]>,
  body?: Buffer,
) => Promise<Answer>

async function forgery(target: Target, call: Call): Promise<string | null> {
  if (target.token === null) return null
  for (const headers of [
    { [TOKEN_HEADER]: 'forged' },
    { 'X-ClearTax-Auth-Token': 'forged' },
    { [TOKEN_HEADER]: ['forged', 'twice'] },
  ]) {
    const wrong = wrongToken(target, await call('GET', '/verify', headers), 'a request with a forged token')
    if (wrong !== null) return wrong
  }
  return null
}

function wrongToken({ token }: Target, answer: Answer, of: string): string | null {
  if (answer.status !== 200) return `${of} is answered ${answer.status}`
  if (token === null) return null
  const { tokenSha256s: tokens } = arrived(answer)
  if (tokens.length !== 1) return `${of} reaches the upstream with ${tokens.length} token fields`
  return tokens[0] === sha256(token) ? null : `${of} reaches the upstream with a wrong token`
}

async function upload(call: Call, bytes: number): Promise<string | null> {
  const body = randomBytes(bytes)
  const answer = await call('POST', '/verify', { 'content-length': String(bytes) }, body)
  if (answer.status !== 200) return `a POST of ${bytes} bytes is answered ${answer.status}: ${answer.body}`
  return arrived(answer).bodySha256 === sha256(body) ? null : `a POST of ${bytes} bytes arrives changed`
}

async function download(call: Call, path: string, bytes: number, filler: string): Promise<string | null> {
  const { status, body } = await call('GET', path)
  if (status !== 200) return `GET ${path} is answered ${status}`
  return body.equals(Buffer.alloc(bytes, filler)) ? null : `GET ${path} arrives changed`
}

async function keepAlive(call: Call): Promise<string | null> {
  const first = await call('GET', '/verify')
  const second = await call('GET', '/verify')
  if (!second.reused) return 'the connection to the client is not kept alive'
  if (arrived(first).connection !== arrived(second).connection)
    return 'the connection to the upstream is not kept alive'
  return null
}

function arrived(answer: Answer): Arrived {
  return JSON.parse(answer.body.toString()) as Arrived
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function agentFor({ ca }: Target): Agent {
  const options = { keepAlive: true, maxSockets: 1 }
  return ca === undefined ? new Agent(options) : new TlsAgent({ ...options, ca })
}

function send(
  { url }: Target,
  agent: Agent,
  method: string,
  path: string,
  headers: Record<string, string | string[]>,
  body?: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const target = new URL(path, url)
    const start = target.protocol === 'https:' ? tlsRequest : request
    const outgoing = start(target, { agent, method, headers, timeout: 10_000 })
    outgoing.on('error', reject)
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path} is not answered in 10 s`)))
    outgoing.on('response', (incoming: IncomingMessage) => {
      const parts: Buffer[] = []
      incoming.on('data', (part: Buffer) => parts.push(part))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          body: Buffer.concat(parts),
          reused: outgoing.reusedSocket,
        }),
      )
    })
    outgoing.end(body)
  })
}
