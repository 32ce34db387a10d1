import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { ProblemError } from '../../../proxy/lib/errors.ts'
import { Secret } from '../../../proxy/lib/secret.ts'
import type { HeldToken } from '../../../proxy/token/source.ts'
import { answer } from '../../support/raw-upstream.ts'
import { assertProblem, eventually, type Suite, TOKEN, TOKEN_HEADER } from './world.ts'

const STARS = '*'.repeat(TOKEN.length)

export function credentialCases({ check, start }: Suite): void {
  check('C01', 'the token is injected exactly once, with its prefix', async (t) => {
    const world = await start(t, { route: { tokenHeader: 'authorization', tokenPrefix: 'Bearer ' } })
    await world.call('GET', '/', ['Authorization: Basic eHh4'])
    assert.deepEqual((await world.upstream.request(0)).fields.all('authorization'), [`Bearer ${TOKEN}`])
  })

  check(
    'C02',
    "the caller's own value of the token header never passes, nor do secrets and keys",
    async (t) => {
      const world = await start(t, { options: { callerKeys: [new Secret('key')] } })
      const forged = [
        `X-Cleartax-Auth-Token: forged`,
        'x-cleartax-auth-token: forged',
        'X-Clear-Client-Secret: s',
      ]
      await world.call('GET', '/', [...forged, 'X-Sidecar-Key: key'])
      const { fields } = await world.upstream.request(0)
      assert.deepEqual(fields.all(TOKEN_HEADER), [TOKEN])
      assert.equal(fields.get('x-clear-client-secret'), null)
      assert.equal(fields.get('x-sidecar-key'), null)
    },
  )

  check('C05', 'naming the token header in Connection does not strip the token', async (t) => {
    const world = await start(t)
    await world.call('GET', '/', [`Connection: ${TOKEN_HEADER}, host`, `${TOKEN_HEADER}: forged`])
    const { fields } = await world.upstream.request(0)
    assert.deepEqual(fields.all(TOKEN_HEADER), [TOKEN])
    assert.deepEqual(fields.all('host'), [world.upstream.url.host])
  })

  check('C09', 'look-alikes of forbidden names never pass', async (t) => {
    const world = await start(t)
    const alike = [
      'X_Cleartax_Auth_Token',
      'x.cleartax.auth.token',
      'X-Cleartax_Auth-Token',
      'x_clear_client_secret',
      'X_Sidecar_Key',
    ]
    await world.call('GET', '/', [...alike.map((name) => `${name}: forged`), 'X_Other: fine'])
    const { fields } = await world.upstream.request(0)
    for (const name of alike) assert.equal(fields.get(name), null, name)
    assert.equal(fields.get('x_other'), 'fine')
  })

  check('C11', 'a redirect to another host is passed on, not followed', async (t) => {
    let visits = 0
    const canary = createServer(() => visits++).listen(0, '127.0.0.1')
    await once(canary, 'listening')
    t.after(() => canary.close())
    const location = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/steal`
    const world = await start(t, { script: (request) => answer(request, 307, [`Location: ${location}`]) })
    const got = await world.call('GET', '/')
    assert.deepEqual([got.status, got.fields.get('location')], [307, location])
    assert.equal(visits, 0)
  })

  check('C12', 'TRACE is refused, for its answer would show the token', async (t) => {
    const world = await start(t)
    assertProblem(await world.call('TRACE', '/'), 'request_forbidden')
    assert.equal(world.upstream.requests.length, 0)
  })

  check('C14', "the sidecar's own error answers give nothing away", async (t) => {
    const world = await start(t, { script: ({ socket }) => void socket.resetAndDestroy() })
    const got = await world.call('POST', '/', [], 'body')
    assert.equal(got.status, 502)
    assert.doesNotMatch(
      JSON.stringify(got.fields.lines) + got.text,
      new RegExp(`tok-|node:|\\.ts|${world.upstream.port}`),
    )
  })

  check('C21', 'many calls wait for one token, and each leaves with it', async (t) => {
    let give: (token: HeldToken) => void = () => {}
    const minted = new Promise<HeldToken>((resolve) => {
      give = resolve
    })
    const world = await start(t, { tokens: { peek: () => null, current: () => minted } })
    const calls = Array.from({ length: 30 }, (_, at) =>
      world.call(at % 2 ? 'POST' : 'GET', `/${at}`, [], at % 2 ? 'x' : undefined),
    )
    await eventually(() => assert.equal(world.tokens.waits.length, 30))
    assert.equal(world.forwarder.counters.held, 30)
    assert.equal(world.upstream.requests.length, 0)
    give(world.tokens.token)
    for (const got of await Promise.all(calls)) assert.equal(got.status, 200)
    for (const request of world.upstream.requests) assert.deepEqual(request.fields.all(TOKEN_HEADER), [TOKEN])
    assert.equal(world.forwarder.counters.held, 0)
  })

  check('C22', 'without a token nothing leaves, and the answer says why and when to ask again', async (t) => {
    const world = await start(t, { tokens: { peek: () => null } })
    for (const code of [
      'token_unavailable',
      'secret_rejected',
      'mint_budget_exhausted',
      'shutting_down',
    ] as const) {
      world.tokens.script.current = () => Promise.reject(new ProblemError(code, { retryAfterS: 7.5 }))
      const got = await world.call('POST', '/', [], 'body')
      assertProblem(got, code)
      assert.equal(got.fields.get('retry-after'), '8')
    }
    assert.equal(world.upstream.connections, 0)
    assert.equal(world.forwarder.counters.problems.get('token_unavailable'), 1)
  })

  check(
    'held-abort',
    'a caller that leaves while it waits for a token aborts its wait and sends nothing',
    async (t) => {
      const world = await start(t, {
        tokens: {
          peek: () => null,
          current: ({ signal }) =>
            new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason as Error)),
            ),
        },
      })
      const client = await world.client()
      client.write(world.message('GET', '/'))
      await eventually(() => assert.equal(world.tokens.waits.length, 1))
      client.destroy()
      await eventually(() => assert.equal(world.tokens.waits[0]?.signal.aborted, true))
      await eventually(() =>
        assert.equal(world.forwarder.counters.held + world.forwarder.counters.inFlight, 0),
      )
      assert.equal(world.upstream.connections, 0)
    },
  )

  check(
    'held-body',
    'a call that waits for its token keeps its body whole, and answers an expectation only then',
    async (t) => {
      let give: (token: HeldToken) => void = () => {}
      const minted = new Promise<HeldToken>((resolve) => {
        give = resolve
      })
      const world = await start(t, { tokens: { peek: () => null, current: () => minted } })
      const body = 'b'.repeat(200_000)
      const upload = await world.client()
      upload.write(world.message('POST', '/', [], body))
      const cautious = await world.client()
      cautious.write(world.message('POST', '/', ['Content-Length: 4', 'Expect: 100-continue']))
      await eventually(() => assert.equal(world.tokens.waits.length, 2))
      assert.deepEqual(
        world.tokens.waits.map(({ replayable }) => replayable),
        [false, true],
      )
      assert.equal(cautious.reader.receivedBytes, 0)
      give(world.tokens.token)
      assert.match(String(await cautious.reader.until('\r\n\r\n')), / 100 /)
      cautious.write('body')
      assert.equal((await cautious.answer('POST')).text, 'ok')
      assert.equal((await upload.answer('POST')).text, 'ok')
      const lengths = await Promise.all(
        world.upstream.requests.map(async (request) => (await request.body).length),
      )
      assert.deepEqual(lengths.sort(), [200_000, 4])
    },
  )

  check('evidence', 'an accepted call says when it was sent, and the token knows its calls', async (t) => {
    const world = await start(t, { script: () => {} })
    const { token } = world.tokens
    const before = performance.now()
    const client = await world.client()
    client.write(world.message('POST', '/', [], 'small'))
    const request = await world.upstream.request(0)
    assert.equal(token.inFlight, 1)
    assert.equal(token.unreplayableInFlight, 0)
    assert.equal(token.acceptedSentAt, -1)
    assert.equal(world.forwarder.counters.inFlight, 1)
    answer(request, 500)
    await client.answer('POST')
    await eventually(() => assert.equal(token.inFlight, 0))
    assert.ok(token.acceptedSentAt >= before && token.acceptedSentAt <= performance.now())
  })

  check(
    'evidence-unkept',
    'a call whose body is not kept counts as one that cannot be replayed',
    async (t) => {
      const world = await start(t, { options: { replayBodyLimitBytes: 10 }, script: () => {} })
      const { token } = world.tokens
      const client = await world.client()
      client.write(world.message('POST', '/', [], 'eleven bytes'))
      const request = await world.upstream.request(0)
      assert.deepEqual([token.inFlight, token.unreplayableInFlight], [1, 1])
      assert.deepEqual(world.tokens.peeks, [false])
      await request.body
      answer(request, 200)
      await client.answer('POST')
      await eventually(() => assert.deepEqual([token.inFlight, token.unreplayableInFlight], [0, 0]))
    },
  )

  check('mask', 'the token is masked in heads and in text bodies, whatever the cuts', async (t) => {
    const world = await start(t)
    const client = await world.client()
    world.upstream.script = (request) =>
      answer(
        request,
        200,
        [`X-Echo: a ${TOKEN} b`, 'Content-Type: application/json'],
        `{"t":"${TOKEN}","u":"${TOKEN}"}`,
      )
    const whole = await client.call(world.message('GET', '/'))
    assert.equal(whole.fields.get('x-echo'), `a ${STARS} b`)
    assert.equal(whole.text, `{"t":"${STARS}","u":"${STARS}"}`)

    world.upstream.script = async ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const piece of [
        'x',
        TOKEN.slice(0, 5),
        TOKEN.slice(5, 9),
        `${TOKEN.slice(9)}y`,
        TOKEN.slice(0, 4),
      ]) {
        socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`)
        await new Promise((resolve) => setImmediate(resolve))
      }
      socket.write('0\r\n\r\n')
    }
    const cut = await client.call(world.message('GET', '/'))
    assert.equal(cut.text, `x${STARS}y${TOKEN.slice(0, 4)}`)
  })

  check(
    'mask-trailers',
    'the token is masked in trailers, also behind a body that is not searched',
    async (t) => {
      const world = await start(t)
      const chunks = `5\r\n%PDF \r\n${TOKEN.length.toString(16)}\r\n${TOKEN}\r\n0\r\nX-Sum: ${TOKEN}\r\n\r\n`
      for (const type of ['text/plain', 'application/pdf']) {
        world.upstream.script = ({ socket }) =>
          void socket.write(
            `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
          )
        const got = await world.call('GET', '/')
        assert.equal(got.trailers.get('x-sum'), '*'.repeat(TOKEN.length), type)
        assert.equal(got.text, type === 'text/plain' ? `%PDF ${'*'.repeat(TOKEN.length)}` : `%PDF ${TOKEN}`)
      }
    },
  )

  check(
    'mask-not',
    'compressed and binary bodies pass untouched, and so does everything when masking is off',
    async (t) => {
      const world = await start(t)
      const zipped = gzipSync(TOKEN).toString('latin1')
      world.upstream.script = (request) =>
        answer(request, 200, ['Content-Type: text/plain', 'Content-Encoding: gzip'], zipped)
      assert.equal((await world.call('GET', '/')).text, zipped)
      world.upstream.script = (request) =>
        answer(request, 200, ['Content-Type: application/pdf'], `%PDF ${TOKEN}`)
      assert.equal((await world.call('GET', '/')).text, `%PDF ${TOKEN}`)

      const open = await start(t, {
        options: { maskToken: false },
        script: (request) => answer(request, 200, [], TOKEN),
      })
      assert.equal((await open.call('GET', '/')).text, TOKEN)
    },
  )
}
