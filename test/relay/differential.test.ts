import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { describe, it } from 'node:test'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { createRelay } from '../../proxy/relay/relay.ts'
import { fc } from '../support/fast-check.ts'
import { heldToken, ScriptedTokens } from '../support/token-source.ts'
import { plainOptions, TOKEN, TOKEN_HEADER } from './contract/world.ts'

/**
 * The same bytes to node:http's strict parser directly, and through the relay to another such server: the relay may refuse
 * what Node takes, but whatever it forwards must be what Node would have read in the caller's own bytes.
 */

interface Seen {
  readonly method: string
  readonly url: string
  readonly body: string
  readonly tokens: readonly string[]
}

/** A strict server that notes each request that arrived whole. */
async function strictServer(): Promise<{ server: Server; port: number; seen: (Seen | null)[] }> {
  const seen: (Seen | null)[] = []
  const server = createServer({ insecureHTTPParser: false }, (request, response) => {
    void note(request, seen).then(() => response.end('ok'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, seen }
}

async function note(request: IncomingMessage, seen: (Seen | null)[]): Promise<void> {
  // In the order in which they began: Node starts on a pipelined request before it has read the body of the one before.
  const place = seen.push(null) - 1
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  } catch {
    return
  }
  const tokens = request.rawHeaders.filter((_, at) => at % 2 === 1 && isTokenName(request.rawHeaders[at - 1]))
  const body = Buffer.concat(chunks).toString('latin1')
  seen[place] = { method: request.method ?? '', url: request.url ?? '', body, tokens }
}

const isTokenName = (name = '') => name.toLowerCase().replaceAll(/[_.]/g, '-') === TOKEN_HEADER

/** Sends the bytes, in the pieces given, and waits until the other side has closed. */
async function send(port: number, pieces: readonly Buffer[]): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  const received: Buffer[] = []
  socket.on('data', (bytes: Buffer) => received.push(bytes))
  socket.on('error', () => {})
  socket.setTimeout(5_000, () => socket.destroy())
  await once(socket, 'connect')
  for (const piece of pieces) {
    socket.write(piece)
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve))
  }
  socket.end()
  if (!socket.closed) await once(socket, 'close')
  return Buffer.concat(received).toString('latin1')
}

async function both(text: string, cuts: readonly number[] = []) {
  const [direct, behind] = await Promise.all([strictServer(), strictServer()])
  const tokens = new ScriptedTokens(heldToken(TOKEN))
  const route = {
    name: 'default',
    prefix: '/',
    upstream: new URL(`http://127.0.0.1:${behind.port}`),
    tokenHeader: TOKEN_HEADER,
    tokenPrefix: '',
    allow: null,
    tokens,
    credential: 'default',
  }
  const relay = createRelay(plainOptions(route), { clock: systemClock, log: silentLog })
  const port = Number(new URL(await relay.listen()).port)
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const pieces = [...ends, bytes.length].map((end, at) => bytes.subarray(at === 0 ? 0 : ends[at - 1], end))
  await send(direct.port, [bytes])
  const answers = await send(port, pieces)
  await relay.drain(AbortSignal.abort())
  const { inFlight, held, upstreamActive } = relay.counters
  for (const { server } of [direct, behind]) {
    server.closeAllConnections()
    server.close()
  }
  return {
    direct: whole(direct.seen),
    behind: whole(behind.seen),
    answers,
    left: { inFlight, held, upstreamActive, ofToken: tokens.token.inFlight },
  }
}

const whole = (seen: readonly (Seen | null)[]) => seen.filter((request) => request !== null)

function judge(text: string, { direct, behind, answers, left }: Awaited<ReturnType<typeof both>>): void {
  const shown = JSON.stringify(text)
  assert.ok(
    behind.length <= direct.length,
    `forwarded ${behind.length} of ${direct.length} requests in ${shown}`,
  )
  // In the same order; what is valid but forbidden may be missing in between.
  let next = 0
  for (const { tokens, ...message } of behind) {
    const read = direct.slice(next).findIndex((other) => {
      return other.method === message.method && other.url === message.url && other.body === message.body
    })
    assert.notEqual(read, -1, `Node read no ${JSON.stringify(message)} in ${shown}`)
    next += read + 1
    assert.deepEqual(tokens, [TOKEN], `the token exactly once in ${shown}`)
  }
  assert.ok(!answers.includes(TOKEN), `the token came back for ${shown}`)
  assert.deepEqual(
    left,
    { inFlight: 0, held: 0, upstreamActive: 0, ofToken: 0 },
    `something is left of ${shown}`,
  )
}

const HOST = 'Host: localhost\r\n'
const hidden = `GET /hidden HTTP/1.1\r\n${HOST}\r\n`
const post = (fields: string, body: string) => `POST /a HTTP/1.1\r\n${HOST}${fields}\r\n${body}`
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`

const plain: readonly string[] = [
  get('/'),
  get('/a%2Fb?x=1&x=2;y'),
  get('/a', `${TOKEN_HEADER}: forged\r\nX_Cleartax_Auth_Token: forged\r\n`),
  get('/a', `Connection: ${TOKEN_HEADER}, keep-alive\r\n`),
  get('/a') + get('/b') + get('/c'),
  post('Content-Length: 3\r\n', 'abc') + get('/b'),
  post('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n') + get('/b'),
  post('Transfer-Encoding: chunked\r\n', '3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n'),
  `HEAD /a HTTP/1.1\r\n${HOST}\r\n`,
  'GET /a HTTP/1.0\r\n\r\n',
  `OPTIONS /a HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n{}`,
  `DELETE /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
]

/** Without `Upgrade: h2c`, at which Node's server stops reading: the relay ignores the offer, and what follows is a call like any other. */
const hostile: readonly string[] = [
  ...[
    'chunked',
    'Chunked',
    ' chunked',
    'chunked ',
    '\tchunked',
    'xchunked',
    'chunked, chunked',
    'gzip, chunked',
    'chunked, gzip',
    '"chunked"',
    '',
    'identity',
    ',chunked',
    'chunked;q=1',
    '\x0bchunked',
    'chun\x00ked',
  ].flatMap((coding) => [
    post(`Transfer-Encoding: ${coding}\r\nContent-Length: 4\r\n`, `0\r\n\r\n${hidden}`),
    post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${hidden}`),
    post(`Content-Length: 5\r\nTransfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${hidden}`),
  ]),
  ...[
    'Transfer-Encoding : chunked',
    ' Transfer-Encoding: chunked',
    'Transfer_Encoding: chunked',
    'Transfer-Encoding:\r\n chunked',
    'X: y\nTransfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Transfer\0-Encoding: chunked',
    'Connection: Transfer-Encoding, upgrade\r\nTransfer-Encoding: chunked',
  ].map((field) => post(`Content-Length: ${5 + hidden.length}\r\n${field}\r\n`, `0\r\n\r\n${hidden}`)),
  ...[
    '+3',
    '-3',
    '0x3',
    '3 ',
    ' 3',
    '03',
    '3,3',
    '3, 4',
    '3.0',
    '',
    'a',
    '3\x00',
    '9'.repeat(30),
    '18446744073709551619',
  ].map((length) => post(`Content-Length: ${length}\r\n`, `abc${hidden}`)),
  post('Content-Length: 3\r\nContent-Length: 3\r\n', `abc${hidden}`),
  post('Content-Length: 3\r\nContent-Length: 40\r\n', `abc${hidden}`),
  post('Connection: keep-alive, Content-Length\r\nContent-Length: 3\r\n', `abc${hidden}`),
  ...[
    'g\r\n',
    '0x3\r\nabc\r\n',
    '+3\r\nabc\r\n',
    '3\nabc\r\n',
    '3\r\nabcd\r\n',
    '3\r\nabc',
    '3;\nxx\r\nabc\r\n',
    '5\r\r;ABCD\r\n34\r\nE\r\n',
    ' 3\r\nabc\r\n',
    '3 \r\nabc\r\n',
    'ffffffffffffffff\r\nabc\r\n',
    '00000000000000000003\r\nabc\r\n',
  ].map((chunk) => post('Transfer-Encoding: chunked\r\n', `${chunk}0\r\n\r\n${hidden}`)),
  post(
    'Transfer-Encoding: chunked\r\n',
    `3\r\nabc\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n${TOKEN_HEADER}: forged\r\n\r\n${hidden}`,
  ),
  ...[
    'http://127.0.0.1:1/steal',
    '//127.0.0.1:1/steal',
    '@127.0.0.1:1/',
    '127.0.0.1:1',
    '*',
    '/a/../b',
    '/%2e%2e/b',
    '/a\\..\\b',
    '/a#b',
    '/a b',
    '/\x00',
    '/\xff',
    '',
    '?x',
    '/integration/v1/authz/token',
    '/INTEGRATION//v1/./authz/%74oken',
  ].map((target) => get(target) + hidden),
  ...['HTTP/1.2', 'HTTP/2.0', 'HTTP/9.9', 'http/1.1', 'HTTP/1.1 ', 'HTTP/01.1', 'HTTX/1.1', ''].map(
    (version) => `GET /a ${version}\r\n${HOST}\r\n${hidden}`,
  ),
  ...['CONNECT', 'TRACE', 'get', 'G ET', 'GET\x00', 'PRI', 'FOO', 'DESCRIBE', 'SOURCE'].map(
    (method) => `${method} /a HTTP/1.1\r\n${HOST}\r\n${hidden}`,
  ),
  ...[
    '',
    'Host: localhost\r\nHost: evil.example\r\n',
    'Host: evil.example\r\n',
    'Host: localhost@evil\r\n',
    'Host: localhost/path\r\n',
    'Host:\r\n',
  ].flatMap((host) => ['GET', 'CONNECT'].map((method) => `${method} /a HTTP/1.1\r\n${host}\r\n${hidden}`)),
  ...[
    'A\r\n',
    'A : b\r\n',
    ': b\r\n',
    'A: b\r\n c\r\n',
    'A: b\nB: c\r\n',
    'A: b\rB: c\r\n',
    'A: \x00\r\n',
    'A\x00: b\r\n',
    'A: \x7f\r\n',
    '\r\rZGET /hidden HTTP/1.1: x\r\n',
    '\xe9: b\r\n',
    'A: \xe9\r\n',
  ].map((field) => get('/a', field) + hidden),
  `GET /a\r\n\r\n${hidden}`,
  `\r\n\r\n${get('/a')}`,
  `GET /a HTTP/1.1\n${HOST}\n${hidden}`,
  `GET /a HTTP/1.1\r\n${HOST}\r\r\n${hidden}`,
  get('/a', 'Connection: close\r\n') + hidden,
  `${get('/a', 'Expect: 100-continue\r\nContent-Length: 3\r\n')}abc${hidden}`,
  get('/a', 'Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 41\r\n') + hidden,
]

/** Bytes on which parsers disagree. */
const telling = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ',',
  ';',
  '0',
  '1',
  'f',
  'x',
  '-',
  '_',
  '/',
  '.',
  '%',
  '#',
  '\x0b',
  '\x7f',
  '\xff',
]
const mutation = fc.record({
  at: fc.nat(400),
  drop: fc.integer({ min: 0, max: 3 }),
  insert: fc.oneof(fc.constantFrom(...telling), fc.constant('')),
})
const mutated = fc
  .tuple(
    fc.constantFrom(...[...plain, ...hostile].filter((text) => !text.includes('Upgrade:'))),
    fc.array(mutation, { minLength: 1, maxLength: 3 }),
  )
  .map(([text, mutations]) =>
    mutations.reduce((before, { at, drop, insert }) => {
      const position = at % (before.length + 1)
      return before.slice(0, position) + insert + before.slice(position + drop)
    }, text),
  )

describe('the relay beside node:http’s strict parser', () => {
  it('forwards what is plain, whole and in order', async () => {
    for (const text of plain) {
      const result = await both(text)
      judge(text, result)
      assert.ok(result.behind.length === result.direct.length && result.behind.length > 0, text)
    }
  })

  it('forwards nothing that Node would not have read the same way', async () => {
    for (const text of hostile) judge(text, await both(text))
  })

  it('never executes what is hidden in a body or behind what it refuses', async () => {
    for (const text of hostile.filter((candidate) => !candidate.startsWith('GET'))) {
      const { direct, behind } = await both(text)
      const [own, other] = [direct, behind].map((seen) => seen.filter(({ url }) => url === '/hidden').length)
      assert.ok((other as number) <= (own as number), JSON.stringify(text))
    }
  })

  it('keeps all that for mutated bytes, cut anywhere', { timeout: 60_000 }, async () => {
    const property = fc.asyncProperty(
      mutated,
      fc.array(fc.nat(500), { maxLength: 4 }),
      async (text, cuts) => {
        judge(text, await both(text, cuts))
      },
    )
    await fc.assert(property, { numRuns: Number(process.env['FUZZ_RUNS'] ?? 400) })
  })
})
