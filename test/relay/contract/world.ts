import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ListenAddress } from '../../../proxy/lib/address.ts'
import type { RecordCall } from '../../../proxy/lib/call-line.ts'
import { systemClock } from '../../../proxy/lib/clock.ts'
import { type ProblemCode, problems } from '../../../proxy/lib/errors.ts'
import { type Log, type LogFields, silentLog } from '../../../proxy/lib/log.ts'
import type { Forwarder, ForwarderOptions, Route } from '../../../proxy/relay/forwarder.ts'
import { RawClient } from '../../support/raw-client.ts'
import { RawUpstream, type Script } from '../../support/raw-upstream.ts'
import { heldToken, ScriptedTokens, type TokenScript } from '../../support/token-source.ts'

export type CreateForwarder = (
  options: ForwarderOptions,
  deps: { clock: typeof systemClock; log: Log; recordCall: RecordCall },
) => Forwarder

/** What a case is defined with. */
export interface Suite {
  start(t: TestContext, settings?: Settings): Promise<World>
  /** Starts one on an address of the case's own. */
  startOn(t: TestContext, listen: ListenAddress): Promise<{ readonly address: string }>
  check(id: string, title: string, run: (t: TestContext) => Promise<void>): void
}

/** What is special about a case; everything else has plain defaults. */
export interface Settings {
  readonly script?: Script
  readonly tokens?: TokenScript
  readonly route?: Partial<Route>
  readonly options?: Partial<ForwarderOptions>
}

export const TOKEN = 'tok-0123456789-abcdef'
export const TOKEN_HEADER = 'x-cleartax-auth-token'
export const SECRET_HEADER = 'x-clear-client-secret'

/** A forwarder that listens, the upstream behind it and the tokens it uses. */
export interface World {
  readonly forwarder: Forwarder
  readonly upstream: RawUpstream
  readonly tokens: ScriptedTokens
  /** As a caller names the forwarder: address and port. */
  readonly host: string
  readonly port: number
  readonly log: readonly { readonly event: string; readonly fields: LogFields }[]
  client(): Promise<RawClient>
  /** A request head, and body when given, for this forwarder; `fields` are whole lines. */
  message(method: string, target: string, fields?: readonly string[], body?: string): string
  /** One call on a connection of its own. */
  call(
    method: string,
    target: string,
    fields?: readonly string[],
    body?: string,
  ): ReturnType<RawClient['call']>
}

export function starterOn(create: CreateForwarder): Suite['startOn'] {
  return async (t, listen) => {
    const upstream = await new RawUpstream().listen()
    t.after(() => upstream.close())
    const route = plainRoute(upstream, new ScriptedTokens(heldToken(TOKEN)))
    const forwarder = create(
      { ...plainOptions(route), listen },
      { clock: systemClock, log: silentLog, recordCall() {} },
    )
    const address = await forwarder.listen()
    t.after(() => forwarder.drain(AbortSignal.abort()))
    return { address }
  }
}

export function starter(create: CreateForwarder): Suite['start'] {
  return async (t, settings = {}) => {
    const upstream = await new RawUpstream(settings.script).listen()
    const tokens = new ScriptedTokens(heldToken(TOKEN), settings.tokens)
    const log: { event: string; fields: LogFields }[] = []
    const note = (event: string, fields: LogFields = {}) => void log.push({ event, fields })
    const forwarder = create(
      { ...plainOptions(plainRoute(upstream, tokens, settings.route)), ...settings.options },
      {
        clock: systemClock,
        log: { debug: note, info: note, warn: note, error: note },
        recordCall: (line) => note('call', { ...line }),
      },
    )
    const clients: RawClient[] = []
    t.after(async () => {
      for (const client of clients) client.destroy()
      await forwarder.drain(AbortSignal.abort())
      await upstream.close()
    })
    const address = new URL(await forwarder.listen())
    const port = Number(address.port)
    const world: World = {
      forwarder,
      upstream,
      tokens,
      host: address.host,
      port,
      log,
      async client() {
        const client = await RawClient.connect({ port, host: '127.0.0.1' })
        clients.push(client)
        return client
      },
      message(method, target, fields = [], body) {
        const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`]
        const lines = [`${method} ${target} HTTP/1.1`, `Host: ${address.host}`, ...length, ...fields]
        return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
      },
      async call(method, target, fields, body) {
        const client = await world.client()
        return await client.call(world.message(method, target, fields, body))
      },
    }
    return world
  }
}

export function plainRoute(
  upstream: RawUpstream,
  tokens: ScriptedTokens,
  change: Partial<Route> = {},
): Route {
  return {
    name: 'default',
    prefix: '/',
    upstream: upstream.url,
    tokenHeader: TOKEN_HEADER,
    tokenPrefix: '',
    allow: null,
    tokens,
    credential: 'default',
    ...change,
  }
}

export function plainOptions(...routes: Route[]): ForwarderOptions {
  return {
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    routes,
    tokenPaths: ['/integration/v1/authz/token'],
    forbiddenHeaders: new Set([TOKEN_HEADER, SECRET_HEADER, 'x-sidecar-key']),
    allowedHosts: ['localhost', '127.0.0.1', '[::1]'],
    callerKeys: null,
    rejectedStatus: new Set([401]),
    maskToken: true,
    replayBodyLimitBytes: 64 * 1024,
    replayMemoryLimitBytes: 1024 * 1024,
    upstreamConnectTimeoutMs: 2_000,
    upstreamTimeoutMs: 10_000,
    upstreamTls: { ca: undefined, cert: undefined, key: undefined },
    maxConnections: 256,
    maxHeaderBytes: 16 * 1024,
    accessLog: 'off',
  }
}

/** A little real time in which something forbidden would have happened. */
export async function quiet(ms = 60): Promise<void> {
  await delay(ms)
}

/** Waits until the assertion holds; fails with its error when that takes too long. */
export async function eventually(assertion: () => void, withinMs = 3_000): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    try {
      assertion()
      return
    } catch (error) {
      if (performance.now() > end) throw error
    }
    await delay(5)
  }
}

/** Fails when the promise takes longer. */
export async function within<T>(withinMs: number, what: string, promise: Promise<T>): Promise<T> {
  const late = new AbortController()
  const timeout = delay(withinMs, undefined, { signal: late.signal }).then(() => {
    throw new assert.AssertionError({ message: `not within ${withinMs} ms: ${what}` })
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    late.abort()
    timeout.catch(() => {})
  }
}

type Answer = Awaited<ReturnType<RawClient['answer']>>

/** That the answer is the sidecar's own, for this code, and gives nothing away. */
export function assertProblem(answer: Answer, code: ProblemCode): void {
  assert.equal(
    answer.fields.get('content-type'),
    'application/problem+json',
    `${answer.status} ${answer.text}`,
  )
  assert.equal(JSON.parse(answer.text).code, code)
  assert.equal(answer.status, problems[code].status)
  assert.match(answer.fields.get('proxy-status') ?? '', /^token-sidecar; error=[a-z_]+$/)
  assert.equal(answer.fields.get('retry-after') !== null, answer.status === 503)
  assert.doesNotMatch(answer.text, /tok-|node:|\.ts|127\.0\.0\.1|Error/)
}
