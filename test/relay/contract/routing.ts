import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { Secret } from '../../../proxy/lib/secret.ts'
import { answer, RawUpstream } from '../../support/raw-upstream.ts'
import { heldToken, ScriptedTokens } from '../../support/token-source.ts'
import { assertProblem, plainRoute, type Suite, TOKEN_HEADER, type World } from './world.ts'

/** A listener nobody may ever reach. */
async function canary(t: TestContext): Promise<{ readonly port: number; visits: number }> {
  const seen = { port: 0, visits: 0 }
  const server = createServer((socket) => {
    seen.visits++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  seen.port = (server.address() as AddressInfo).port
  return seen
}

/** Sends a request line of the test's own and says how it was answered; null for a connection that was closed. */
async function requestLine(
  world: World,
  line: string,
  fields: readonly string[] = [],
): Promise<number | null> {
  const client = await world.client()
  client.write(`${[line, `Host: ${world.host}`, ...fields].join('\r\n')}\r\n\r\n`)
  return await client.answer().then(
    ({ status }) => status,
    () => null,
  )
}

export function routingCases({ check, start }: Suite): void {
  check('R01', 'the target arrives byte for byte', async (t) => {
    const world = await start(t)
    const targets = [
      '/',
      '/a%2Fb%2f..%2Fc',
      '/a//b/',
      '//x/y',
      '/a;b=c/d',
      '/%zz',
      '/a?b=1&b=2;c=%zz&d',
      '/a?',
      "/~a!$&'()*+,:@-_.b",
    ]
    const client = await world.client()
    for (const target of targets)
      assert.equal((await client.call(world.message('GET', target))).status, 200, target)
    assert.deepEqual(
      world.upstream.requests.map((request) => request.target),
      targets,
    )
  })

  for (const [id, line] of [
    ['R10', 'GET http://127.0.0.1:CANARY/steal HTTP/1.1'],
    ['R12', 'GET //127.0.0.1:CANARY/steal HTTP/1.1'],
    ['R14', 'GET @127.0.0.1:CANARY/steal HTTP/1.1'],
    ['R17', 'CONNECT 127.0.0.1:CANARY HTTP/1.1'],
    ['R31', 'GET http://127.0.0.1:CANARY/ws HTTP/1.1'],
  ] as const) {
    check(id, `no other host is reached by ${line.replace('CANARY', 'port')}`, async (t) => {
      const seen = await canary(t)
      const world = await start(t)
      const upgrade = id === 'R31' ? ['Connection: Upgrade', 'Upgrade: websocket'] : []
      const status = await requestLine(world, line.replace('CANARY', String(seen.port)), upgrade)
      assert.equal(status, id === 'R12' ? 200 : 400)
      assert.equal(seen.visits, 0)
      for (const { target } of world.upstream.requests) assert.match(target, /^\//)
    })
  }

  check('R23', 'dot segments and targets that are no path are refused', async (t) => {
    const world = await start(t)
    const targets = [
      '/pub/%2e%2e/%2E%2E%2fadmin',
      '/a/../b',
      '/a/..;/b',
      '/a\\..\\b',
      '/a#b',
      '/./a',
      '/\u00e9',
      'a',
      '?a',
    ]
    for (const target of targets)
      assert.equal(await requestLine(world, `GET ${target} HTTP/1.1`), 400, target)
    assertProblem(await world.call('OPTIONS', '*'), 'request_invalid')
    assert.equal(world.upstream.requests.length, 0)
  })

  check('token-path', 'the token API is out of reach in every spelling', async (t) => {
    const world = await start(t)
    const path = '/integration/v1/authz/token'
    for (const target of [
      path,
      `${path}?x`,
      `${path}/`,
      '/Integration//v1/authz/%74oken',
      '/integration/v1/authz%252ftoken',
    ]) {
      assertProblem(await world.call('GET', target), 'request_forbidden')
    }
    assert.equal(world.upstream.requests.length, 0)
  })

  check('R27', 'only known Host names are answered', async (t) => {
    const world = await start(t)
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127a0b0c1',
      `evil.example:${world.port}`,
    ]) {
      const client = await world.client()
      assertProblem(await client.call(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), 'request_forbidden')
    }
    for (const host of ['', 'user@localhost', 'localhost/x']) {
      const client = await world.client()
      assertProblem(await client.call(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), 'request_invalid')
    }
    const nameless = await world.client()
    assert.equal((await nameless.call('GET / HTTP/1.1\r\n\r\n')).status, 400)
    assert.equal(world.upstream.requests.length, 0)
    for (const host of ['LOCALHOST', 'localhost:1', '[::1]:2', '127.0.0.1.']) {
      const client = await world.client()
      assert.equal((await client.call(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status, 200, host)
    }
  })

  check('R28', 'what a browser sends for a page of another site is refused', async (t) => {
    const world = await start(t)
    for (const field of [
      'Origin: https://evil.example',
      'Origin: null',
      'Sec-Fetch-Site: cross-site',
      'Sec-Fetch-Site: same-site',
    ]) {
      assertProblem(await world.call('POST', '/', [field], 'x'), 'request_forbidden')
    }
    assert.equal(world.upstream.requests.length, 0)
    assert.equal((await world.call('POST', '/', ['Origin: http://localhost:3000'], 'x')).status, 200)
  })

  check('caller-key', 'with caller keys, a call without one is refused', async (t) => {
    const world = await start(t, { options: { callerKeys: [new Secret('old'), new Secret('new')] } })
    assertProblem(await world.call('GET', '/'), 'request_forbidden')
    assertProblem(await world.call('GET', '/', ['X-Sidecar-Key: wrong']), 'request_forbidden')
    assertProblem(
      await world.call('GET', '/', ['X-Sidecar-Key: old', 'X-Sidecar-Key: new']),
      'request_forbidden',
    )
    assert.equal(world.upstream.requests.length, 0)
    assert.equal((await world.call('GET', '/', ['X-Sidecar-Key: old'])).status, 200)
    assert.equal((await world.call('GET', '/', ['x-sidecar-key: new'])).status, 200)
  })

  check('routes', 'each route has its upstream, base path, header and token', async (t) => {
    const other = await new RawUpstream().listen()
    t.after(() => other.close())
    const tokens = new ScriptedTokens(heldToken('tok-of-gls'))
    const gls = plainRoute(other, tokens, {
      name: 'gls',
      prefix: '/gls',
      upstream: new URL('/middle-east/ksa/', other.url),
      tokenHeader: 'x-clear-auth-token',
      allow: [{ method: 'GET', path: '/middle-east/ksa/open/**' }],
    })
    const first = await new RawUpstream().listen()
    t.after(() => first.close())
    const world = await start(t, {
      options: { routes: [plainRoute(first, new ScriptedTokens(heldToken('tok-default'))), gls] },
    })
    assert.equal((await world.call('GET', '/gls/open/a?b=/gls')).status, 200)
    assert.equal((await world.call('GET', '/glsx')).status, 200)
    assertProblem(await world.call('GET', '/gls/closed'), 'request_forbidden')
    assertProblem(await world.call('GET', '/gls/open/a%2f..%2f..%2fb'), 'request_invalid')
    const [toGls, toDefault] = [await other.request(0), await first.request(0)]
    assert.equal(toGls.target, '/middle-east/ksa/open/a?b=/gls')
    assert.equal(toGls.fields.get('x-clear-auth-token'), 'tok-of-gls')
    assert.equal(toGls.fields.get('host'), other.url.host)
    assert.equal(toDefault.target, '/glsx')
    assert.equal(toDefault.fields.get(TOKEN_HEADER), 'tok-default')
    assert.deepEqual([other.requests.length, first.requests.length], [1, 1])
    assert.equal(world.forwarder.counters.routes.get('gls')?.answers.get('GET 200'), 1)

    other.script = (request) =>
      answer(request, 302, [`Location: ${other.url.origin}/middle-east/ksa/open/next`])
    const moved = await world.call('GET', '/gls/open/a')
    assert.equal(moved.fields.get('location'), `http://${world.host}/gls/open/next`)
  })

  check('no-route', 'a path without a route is not found', async (t) => {
    const world = await start(t, { route: { prefix: '/gls' } })
    assertProblem(await world.call('GET', '/other'), 'route_not_found')
    assertProblem(await world.call('POST', '/other', [], 'body'), 'route_not_found')
    assert.equal((await world.call('GET', '/gls')).status, 200)
    assert.equal((await world.upstream.request(0)).target, '/')
  })
}
