import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { createRelay } from '../../proxy/relay/relay.ts'
import { plainOptions, plainRoute, TOKEN } from '../relay/contract/world.ts'
import { fc } from '../support/fast-check.ts'
import type { RawUpstream } from '../support/raw-upstream.ts'
import { heldToken, ScriptedTokens } from '../support/token-source.ts'
import { cutAt, type Mutation, mutated, mutations } from './mutations.ts'
import { fuzzer } from './target.ts'

/**
 * The same bytes as an answer to node:http's strict client directly, and through the relay to another such client: what Node
 * would not have taken for a whole answer must not reach the caller as one.
 */
interface Input {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly answer: string
  readonly changes: readonly Mutation[]
  readonly cuts: readonly number[]
  readonly reset: boolean
}

/** What a client made of an answer: null when it was none, or not whole. */
type Seen = { readonly status: number; readonly body: string; readonly isOwn: boolean } | null

const head = (fields: string, status = '200 OK') => `HTTP/1.1 ${status}\r\n${fields}\r\n`
const corpus: readonly string[] = [
  `${head('Content-Length: 5\r\nX-A: b\r\n')}hello`,
  `${head('Transfer-Encoding: chunked\r\n')}5\r\nhello\r\n3;x="y"\r\nabc\r\n0\r\n\r\n`,
  `${head('Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n')}5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n`,
  `${head('')}until the end`,
  `${head('Connection: close\r\nContent-Type: text/plain\r\n')}echo of ${TOKEN} here`,
  `HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc`,
  `HTTP/1.0 200 OK\r\n\r\nabc`,
  head('', '204 No Content'),
  head('Content-Length: 5\r\n', '304 Not Modified'),
  `${head('Link: </a>\r\n', '103 Early Hints')}${head('Content-Length: 2\r\n')}ok`,
  `${head('', '100 Continue')}${head('Content-Length: 2\r\n')}ok`,
  `${head('Content-Length: 3\r\nContent-Length: 3\r\n')}abc`,
  `${head('Content-Length: 3\r\nContent-Length: 4\r\n')}abcd`,
  `${head('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n')}3\r\nabc\r\n0\r\n\r\n`,
  `${head('Transfer-Encoding: gzip, chunked\r\n')}3\r\nabc\r\n0\r\n\r\n`,
  `${head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n')}3\r\nabc\r\n0\r\n\r\n`,
  `${head('Transfer-Encoding: xchunked\r\n')}3\r\nabc\r\n0\r\n\r\n`,
  `${head('Transfer-Encoding : chunked\r\n')}3\r\nabc\r\n0\r\n\r\n`,
  `${head('Connection: Content-Length\r\nContent-Length: 3\r\n')}abc`,
  `${head('Content-Length: +3\r\n')}abc`,
  `${head('Content-Length: 18446744073709551619\r\n')}abc`,
  `${head('Content-Length: 3\r\n X: folded\r\n')}abc`,
  `${head('Content-Length: 3\r\n')}abc${head('Content-Length: 4\r\n')}evil`,
  `${head('Upgrade: websocket\r\nConnection: Upgrade\r\n', '101 Switching Protocols')}bytes`,
  `${head('Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 1\r\n', '999 Odd')}x`,
  'HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx',
  'ICY 200 OK\r\nContent-Length: 1\r\n\r\nx',
  'HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx',
  '\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
]
const inputs: fc.Arbitrary<Input> = fc.record({
  method: fc.constantFrom<Input['method'][]>('GET', 'GET', 'GET', 'HEAD', 'POST'),
  answer: fc.constantFrom(...corpus),
  changes: mutations(3, 120),
  cuts: fc.array(fc.nat(200), { maxLength: 3 }),
  reset: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
})

async function run({ method, answer, changes, cuts, reset }: Input): Promise<void> {
  const text = mutated(answer, changes)
  const upstream = await answering(cutAt(text, cuts), reset)
  const { port } = upstream.address() as AddressInfo
  const raw = { url: new URL(`http://127.0.0.1:${port}`) } as RawUpstream
  const tokens = new ScriptedTokens(heldToken(TOKEN))
  const relay = createRelay(plainOptions(plainRoute(raw, tokens)), { clock: systemClock, log: silentLog })
  const relayPort = Number(new URL(await relay.listen()).port)
  try {
    const [direct, relayed] = await Promise.all([call(port, method), call(relayPort, method)])
    if (relayed === null || relayed.isOwn) return
    const shown = JSON.stringify(text)
    // Only text is searched, so the type must still say that it is.
    const isText = /\r\nContent-Type: text\/plain\r\n/.test(text)
    assert.ok(!isText || !relayed.body.includes(TOKEN), `the token came back for ${shown}`)
    if (isSame(direct, relayed) || (!isText && isDeepStrictEqual(direct, relayed))) return
    // Node gives an answer up that has something behind it; the relay passes it on, and gives the connection up.
    assert.ok(
      direct === null,
      `${shown} is ${JSON.stringify(direct)}, and came as ${JSON.stringify(relayed)}`,
    )
    const plain = withoutInterims(text)
    assert.ok(
      (await beginsWith(text, relayed, method, text.length - 1)) ||
        // Whole, unless a reset cut it: then its end is none.
        (await beginsWith(plain, relayed, method, plain.length - (reset || plain === text ? 1 : 0))),
      `${shown} is no answer, and came as ${JSON.stringify(relayed)}`,
    )
  } finally {
    await relay.drain(AbortSignal.abort())
    upstream.close()
  }
  const { inFlight, held, upstreamActive } = relay.counters
  assert.deepEqual([inFlight, held, upstreamActive, tokens.token.inFlight], [0, 0, 0, 0])
}

function isSame(direct: Seen, relayed: Seen): boolean {
  if (direct === null || relayed === null || direct.status !== relayed.status) return false
  return direct.body.replaceAll(TOKEN, '*'.repeat(TOKEN.length)) === relayed.body
}

/**
 * Node lets an interim answer decide on the connection: one of HTTP/1.0, or with `Connection: close`, is the last it takes. The
 * relay goes by the answer itself.
 */
function withoutInterims(text: string): string {
  return text.replace(/^(?:HTTP\/1\.[01] 1(?!01)\d\d[^\r\n]*\r\n(?:[!-9;-~]+:[ -~]*\r\n)*\r\n)+/, '')
}

/** Whether Node takes some beginning of the text, of `most` characters, for the same whole answer. */
async function beginsWith(text: string, relayed: Seen, method: string, most: number): Promise<boolean> {
  for (let length = most; length > 0; length--) {
    const upstream = await answering(cutAt(text.slice(0, length), []), false)
    const seen = await call((upstream.address() as AddressInfo).port, method)
    upstream.close()
    if (isSame(seen, relayed)) return true
  }
  return false
}

/** Writes the pieces once a request has come, then ends or resets the connection. */
async function answering(pieces: readonly Buffer[], reset: boolean): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', async () => {
      for (const piece of pieces) {
        socket.write(piece)
        await turn()
      }
      if (reset) socket.resetAndDestroy()
      else socket.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function call(port: number, method: string): Promise<Seen> {
  return new Promise((resolve) => {
    const options = { port, host: '127.0.0.1', method, agent: false, insecureHTTPParser: false } as const
    const outgoing = request(options)
    const none = () => resolve(null)
    outgoing.once('response', (response: IncomingMessage) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.once('error', none)
      response.once('close', none)
      response.once('end', () => {
        const body = Buffer.concat(pieces).toString('latin1')
        const isOwn = response.headers['proxy-status'] !== undefined
        resolve(response.complete ? { status: response.statusCode ?? 0, body, isOwn } : null)
      })
    })
    outgoing.on('error', none)
    outgoing.once('upgrade', (_response, socket) => {
      socket.destroy()
      none()
    })
    outgoing.once('close', none)
    outgoing.end()
  })
}

export const answers = fuzzer<Input>({
  name: 'answers',
  inputs,
  regressions: [],
  testRuns: 250,
  run,
})
