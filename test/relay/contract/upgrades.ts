import assert from 'node:assert/strict'
import type { RawClient } from '../../support/raw-client.ts'
import { answer, type RawRequest } from '../../support/raw-upstream.ts'
import { heldToken } from '../../support/token-source.ts'
import { assertProblem, eventually, quiet, type Suite, TOKEN, TOKEN_HEADER, within } from './world.ts'

const ASK = [
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'

/** Switches, then echoes what comes until the connection ends. */
async function echo({ socket, reader, closed }: RawRequest): Promise<void> {
  socket.write(`${SWITCH}X-Echo: ${TOKEN}\r\n\r\nhello`)
  void (async () => {
    for (;;) socket.write(await reader.some())
  })().catch(() => socket.end())
  await closed
}

async function switched(client: RawClient, message: string): Promise<void> {
  client.write(message)
  assert.equal((await client.head()).status, 101)
}

export function upgradeCases({ check, start }: Suite): void {
  check('U01', 'a websocket is opened with the token and carries bytes both ways', async (t) => {
    const world = await start(t, { script: echo })
    const client = await world.client()
    // Bytes sent along with the request belong to the tunnel, and so do those sent along with the answer.
    client.write(`${world.message('GET', '/ws?x=1', [...ASK, `${TOKEN_HEADER}: forged`])}early`)
    const head = await client.head()
    assert.equal(head.status, 101)
    assert.match(head.fields.get('connection') ?? '', /upgrade/i)
    assert.equal(head.fields.get('upgrade')?.toLowerCase(), 'websocket')
    assert.equal(head.fields.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    assert.equal(head.fields.get('x-echo'), '*'.repeat(TOKEN.length))
    assert.equal(String(await client.reader.take(10)), 'helloearly')
    client.write('later')
    assert.equal(String(await client.reader.take(5)), 'later')
    const { fields, target } = await world.upstream.request(0)
    assert.equal(target, '/ws?x=1')
    assert.deepEqual(fields.all(TOKEN_HEADER), [TOKEN])
    assert.deepEqual(fields.all('host'), [world.upstream.url.host])
    assert.equal(fields.get('sec-websocket-version'), '13')
    assert.match(fields.get('connection') ?? '', /^upgrade$/i)
    assert.equal(world.forwarder.counters.inFlight, 1)
    await eventually(() => assert.equal(world.tokens.token.inFlight, 0))
  })

  for (const [id, what, target, script] of [
    ['U03-cut', 'the upstream hangs up', '/ws', ({ socket }: RawRequest) => void socket.destroy()],
    [
      'U03-nonsense',
      'the answer is none',
      '/ws',
      ({ socket }: RawRequest) => void socket.end('HELLO\r\n\r\n'),
    ],
    ['U03-refused', 'the path is not to be called', '/integration/v1/authz/token', () => {}],
  ] as const) {
    check(id, `when an upgrade fails, what was meant for the tunnel is no call: ${what}`, async (t) => {
      const world = await start(t, { script })
      const client = await world.client()
      client.write(world.message('GET', target, ASK) + world.message('GET', '/hidden'))
      assert.ok((await client.answer()).status >= 400)
      await within(3_000, 'the close', client.closed)
      assert.ok(world.upstream.requests.every((request) => request.target === '/ws'))
    })
  }

  check('U03', 'a refused upgrade is answered whole, and nothing more reaches the upstream', async (t) => {
    const world = await start(t, { script: (request) => answer(request, 403, [], 'not you') })
    const client = await world.client()
    client.write(world.message('GET', '/ws', ASK))
    const got = await client.answer()
    assert.deepEqual([got.status, got.text], [403, 'not you'])
    client.socket.on('error', () => {})
    client.write(`raw bytes\r\n\r\nGET /hidden HTTP/1.1\r\nHost: ${world.host}\r\n\r\n`)
    await quiet()
    assert.equal(world.upstream.requests.length, 1)
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  check('U03-chunked', 'a refusal in chunks arrives as it was meant', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write('HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'),
    })
    const got = await world.call('GET', '/ws', ASK)
    assert.deepEqual([got.status, got.text], [400, 'no'])
  })

  for (const [id, how] of [
    ['U04-upstream', 'upstream'],
    ['U04-caller', 'caller'],
  ] as const) {
    check(id, `when the ${how} ends a tunnel, the other side ends`, async (t) => {
      const world = await start(t, { script: echo })
      const client = await world.client()
      await switched(client, world.message('GET', '/ws', ASK))
      await client.reader.take(5)
      const { socket, closed } = await world.upstream.request(0)
      if (how === 'upstream') socket.end()
      else client.socket.end()
      await within(1_500, 'both ends', Promise.all([client.closed, closed]))
      await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
    })
  }

  check('U04-reset', 'a tunnel cut on one side is cut on the other', async (t) => {
    const world = await start(t, { script: echo })
    for (const side of ['caller', 'upstream'] as const) {
      const client = await world.client()
      await switched(client, world.message('GET', '/ws', ASK))
      const { socket, closed } = await world.upstream.request(world.upstream.requests.length - 1)
      if (side === 'caller') client.socket.resetAndDestroy()
      else socket.resetAndDestroy()
      await within(1_500, 'both ends', Promise.all([client.closed, closed]))
    }
    assert.equal((await world.call('GET', '/ws', ASK)).status, 101)
  })

  check('upgrade-replay', 'an upgrade whose token is rejected is asked for again', async (t) => {
    const world = await start(t, {
      script: (request) =>
        request.fields.get(TOKEN_HEADER) === TOKEN ? answer(request, 401) : echo(request),
      tokens: { replace: async () => heldToken('tok-fresh-9876543210', 2) },
    })
    const client = await world.client()
    await switched(client, world.message('GET', '/ws', ASK))
    assert.equal(String(await client.reader.take(5)), 'hello')
    assert.equal(world.forwarder.counters.replays.accepted, 1)
  })

  check('upgrade-admission', 'upgrades pass the same checks as calls', async (t) => {
    const world = await start(t, { script: echo })
    assertProblem(await world.call('GET', '/a/../b', ASK), 'request_invalid')
    assertProblem(await world.call('GET', '/integration/v1/authz/token', ASK), 'request_forbidden')
    assertProblem(
      await world.call('GET', '/ws', [...ASK, 'Origin: https://evil.example']),
      'request_forbidden',
    )
    const client = await world.client()
    const bytes = world.message('GET', '/ws', ASK).replace(/Host: .*\r\n/, 'Host: evil.example\r\n')
    assertProblem(await client.call(bytes), 'request_forbidden')
    assert.equal(world.upstream.requests.length, 0)
  })

  check(
    'upgrade-other',
    'an offer to upgrade to anything else is ignored, and the call is made',
    async (t) => {
      const world = await start(t)
      const h2c = [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
      ]
      const client = await world.client()
      assert.equal((await client.call(world.message('POST', '/a', h2c, 'body'))).text, 'ok')
      assert.equal((await client.call(world.message('GET', '/b'))).text, 'ok')
      const request = await world.upstream.request(0)
      assert.equal(String(await request.body), 'body')
      for (const name of ['upgrade', 'http2-settings']) assert.equal(request.fields.get(name), null)
      assert.doesNotMatch(request.fields.get('connection') ?? '', /upgrade/i)
    },
  )

  check('upgrade-strip', 'an upgrade cannot strip the token by naming it in Connection', async (t) => {
    const world = await start(t, { script: echo })
    const client = await world.client()
    await switched(client, world.message('GET', '/ws', [...ASK, `Connection: ${TOKEN_HEADER}`]))
    assert.deepEqual((await world.upstream.request(0)).fields.all(TOKEN_HEADER), [TOKEN])
  })

  check('upgrade-abort', 'a caller that leaves before the switch ends the upstream call', async (t) => {
    const world = await start(t, { script: ({ closed }) => closed })
    const client = await world.client()
    client.write(world.message('GET', '/ws', ASK))
    const request = await world.upstream.request(0)
    client.destroy()
    await within(2_000, 'the upstream connection to close', request.closed)
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
  })

  check('upgrade-unasked', 'an upstream that switches protocols unasked is a protocol error', async (t) => {
    const world = await start(t, { script: ({ socket }) => void socket.write(`${SWITCH}\r\n`) })
    assertProblem(await within(3_000, 'the answer', world.call('GET', '/')), 'upstream_protocol_error')
  })
}
