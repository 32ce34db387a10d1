import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { createRelay } from '../../proxy/relay/relay.ts'
import { plainOptions, TOKEN, TOKEN_HEADER } from '../relay/contract/world.ts'
import { heldToken, ScriptedTokens } from '../support/token-source.ts'
import { cutAt } from './mutations.ts'

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

export async function both(text: string, cuts: readonly number[] = []) {
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
  const pieces = cutAt(text, cuts)
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

export function judge(
  text: string,
  { direct, behind, answers, left }: Awaited<ReturnType<typeof both>>,
): void {
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
