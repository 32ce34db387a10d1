import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import type { Route } from '../../proxy/relay/forwarder.ts'
import { createRelay } from '../../proxy/relay/relay.ts'
import { quiet, starter, TOKEN, TOKEN_HEADER, type World } from '../relay/contract/world.ts'
import { IncompleteMessage } from '../support/byte-reader.ts'
import { answer, answerOk, type RawRequest, RawUpstream } from '../support/raw-upstream.ts'

/** The published ways to make a proxy say what it should not: each is refused, or arrives as one harmless call. */

const KEY = 'the-key-that-callers-send'
/** Names the upstream must get from the relay or not at all, and names of one connection. */
const OURS = [TOKEN_HEADER, 'x-clear-auth-token', 'x-clear-client-secret', 'x-sidecar-key']
const HOP_BY_HOP = ['te', 'trailer', 'upgrade', 'keep-alive', 'proxy-connection', 'http2-settings']

interface Attack {
  readonly name: string
  /** What the caller writes; `canary` is an address that must never be visited. */
  readonly bytes: (host: string, canary: string) => string
  /** What the upstream gets: nothing, or one call for this target. */
  readonly arrives: false | string
  /** What else is true of that call. */
  readonly as?: (request: RawRequest) => void | Promise<void>
  readonly route?: Partial<Route>
}

const get = (target: string, ...lines: string[]) =>
  ['GET', target, 'HTTP/1.1'].join(' ').concat('\r\n', lines.map((line) => `${line}\r\n`).join(''), '\r\n')

/** A field or several, in a call that is otherwise good. */
const fields = (name: string, lines: string | readonly string[], arrives: false | string = '/a'): Attack => ({
  name,
  bytes: (host) => get('/a', `Host: ${host}`, ...[lines].flat()),
  arrives,
})

const target = (text: string, arrives: false | string = text, name = text): Attack => ({
  name: `target ${JSON.stringify(name)}`,
  bytes: (host, canary) => get(text.replace('CANARY', canary), `Host: ${host}`),
  arrives: arrives === text && text.includes('CANARY') ? 'CANARY' : arrives,
})

const line = (text: string): Attack => ({
  name: `request line ${JSON.stringify(text)}`,
  bytes: (host, canary) => `${text.replace('CANARY', canary)}\r\nHost: ${host}\r\n\r\n`,
  arrives: false,
})

const chunked = (name: string, body: string, arrives: false | string, ...lines: string[]): Attack => ({
  name,
  bytes: (host) => {
    const head = ['POST /a HTTP/1.1', `Host: ${host}`, 'Transfer-Encoding: chunked', ...lines]
    return `${head.join('\r\n')}\r\n\r\n${body}`
  },
  arrives,
})

const plain: Partial<Route> = {}
const listed: Partial<Route> = { allow: [{ method: 'GET', path: '/open/**' }] }

const attacks: Record<string, Attack[]> = {
  'fields that Connection names': [
    fields('the token', [`Connection: ${TOKEN_HEADER}`]),
    fields('the token, forged as well', [`Connection: close, ${TOKEN_HEADER}`, `${TOKEN_HEADER}: forged`]),
    fields('the token, in another case and on a second line', [
      'Connection: keep-alive',
      'Connection: ,, X-CLEARTAX-AUTH-TOKEN ,',
    ]),
    fields('the token, by a look-alike', [
      'Connection: x_cleartax_auth_token',
      'X_Cleartax_Auth_Token: forged',
    ]),
    fields('Host', ['Connection: host']),
    fields('the caller key', ['Connection: x-sidecar-key']),
    fields('Connection itself', ['Connection: connection, te, trailer']),
  ],
  'fields of our own names': [
    fields('in many cases, many times', [
      'X-CLEARTAX-AUTH-TOKEN: forged',
      'x-cleartax-auth-token: forged',
      'x-ClearTax-Auth-Token: forged',
    ]),
    fields('with other separators', [
      ...['_', '.', '!', '~', '*', '+', "'", '`', '|', '^', '#', '$', '%', '&'].map(
        (mark) => `${TOKEN_HEADER.replaceAll('-', mark)}: forged`,
      ),
      'X-Cleartax_Auth.Token: forged',
    ]),
    fields('of the other product', ['X-Clear-Auth-Token: forged', 'x_clear_auth_token: forged']),
    fields('of the secret', ['X-Clear-Client-Secret: stolen', 'X_CLEAR_CLIENT_SECRET: stolen']),
    fields('of the caller key, disguised', ['X_Sidecar_Key: other']),
    fields('a caller key twice', [`X-Sidecar-Key: ${KEY}`], false),
    fields('an empty one', [`${TOKEN_HEADER}:`]),
    fields('after thousands of others', [
      ...Array.from({ length: 2_500 }, () => 'a:'),
      `${TOKEN_HEADER}: forged`,
    ]),
  ],
  'white space where there must be none': [
    fields('before the colon', `${TOKEN_HEADER} : forged`, false),
    fields('a tab before the colon', `${TOKEN_HEADER}\t: forged`, false),
    fields('a folded line', ['X-A: 1', ` ${TOKEN_HEADER}: forged`], false),
    fields('a line folded by a tab', ['X-A: 1', `\t${TOKEN_HEADER}: forged`], false),
    {
      name: 'before the first field',
      bytes: (host) => `GET /a HTTP/1.1\r\n ${TOKEN_HEADER}: forged\r\nHost: ${host}\r\n\r\n`,
      arrives: false,
    },
    fields('a line without a colon', TOKEN_HEADER, false),
    fields('a field without a name', ': forged', false),
  ],
  'control characters': [
    fields('LF in a value', `X-A: 1\n${TOKEN_HEADER}: forged`, false),
    fields('CR in a value', `X-A: 1\r${TOKEN_HEADER}: forged`, false),
    fields('NUL in a value', 'X-A: 1\0', false),
    fields('DEL in a value', 'X-A: 1\x7f', false),
    fields('NUL in a name', `${TOKEN_HEADER}\0: forged`, false),
    fields('LF in a name', `X-A\n${TOKEN_HEADER}: forged`, false),
    fields('a byte above ASCII in a name', `${TOKEN_HEADER}\xad: forged`, false),
    ...['\n', '\r', '\0', '\t', '\x7f', '\x0b', '\xa0', '\xff', ' '].map((mark) =>
      target(`/a${mark}b`, false, `/a${mark}b`),
    ),
    target('/a%0d%0aX-Cleartax-Auth-Token:%20forged'),
    target('/a%00'),
    {
      name: 'only LF as line ends',
      bytes: (host) => `GET /a HTTP/1.1\nHost: ${host}\n\n`,
      arrives: false,
    },
    {
      name: 'CR CR LF at the end of a line',
      bytes: (host) => `GET /a HTTP/1.1\r\r\nHost: ${host}\r\n\r\n`,
      arrives: false,
    },
  ],
  'targets that lead elsewhere': [
    target('http://CANARY/', false),
    target('http://user:password@CANARY/', false),
    target('HTTP://CANARY', false),
    target('https:CANARY', false),
    target('CANARY', false),
    target('@CANARY/', false),
    target('.CANARY/', false),
    target('*', false),
    target('\\\\CANARY\\a', false),
    target('?http://CANARY/', false),
    target('/a#@CANARY/', false),
    target('//CANARY/a'),
    target('///CANARY/a'),
    target('/\\CANARY/a'),
    target('/@CANARY/'),
    target('/%2f%2fCANARY/'),
    target('/a?u=http://CANARY/'),
    {
      name: 'a Host that is a whole URL',
      bytes: (_, canary) => get('/a', `Host: http://${canary}/`),
      arrives: false,
    },
    {
      name: 'a Host with user information',
      bytes: (host, canary) => get('/a', `Host: ${host}@${canary}`),
      arrives: false,
    },
    fields('fields that name another host', [
      'X-Forwarded-Host: evil.example',
      'Forwarded: host=evil.example',
    ]),
  ],
  'dots and slashes in disguise': [
    ...['/a/../b', '/a/./b', '/..', '/%2e%2e/b', '/.%2E/b', '/a/..;x=y/b', '/a\\..\\b'].map((text) =>
      target(text, false),
    ),
    target('/%c0%ae%c0%ae/b', false),
    target('/a%2Fb%5Cc'),
    target('/%252e%252e/b'),
    ...[
      '/integration/v1/authz/token',
      '/INTEGRATION/V1/AUTHZ/TOKEN',
      '//integration//v1/authz/token/',
      '/integration/v1/authz/%74oken',
      '/integration/v1/authz/%2574oken',
      '/integration%2fv1%5cauthz/token',
      '/integration/v1/x%2f..%2fauthz/token',
      '/integration/v1/authz/token;jsessionid=1',
      '/integration/v1/authz/token.json?x',
      '/integration/v1/authz/token%00.png',
      '/integration/v1/authz%ef%bc%8ftoken',
    ].map((text) => target(text, false)),
  ],
  'ways around an allow list': [
    ...[
      '/closed',
      '/open%2f..%2fclosed',
      '/open/..%5cclosed',
      '/open/a%252fb',
      '/OPEN/a',
      '/open;/a',
      '/opened',
    ].map((text) => ({ ...target(text, false), route: listed })),
    ...[
      'X-HTTP-Method-Override: DELETE',
      'X-HTTP-Method: DELETE',
      'X-Original-URL: /closed',
      'X-Rewrite-URL: /',
    ].map((text) => ({
      name: text,
      bytes: (host: string) => get('/open/a', `Host: ${host}`, text),
      arrives: false as const,
      route: listed,
    })),
    {
      name: 'an override in disguise',
      bytes: (host) =>
        get('/open/a', `Host: ${host}`, 'X_HTTP_Method_Override: DELETE', 'X.Original.URL: /closed'),
      arrives: '/open/a',
      as: ({ fields: seen }) => {
        assert.doesNotMatch(JSON.stringify(seen.lines), /override|original/i)
      },
      route: listed,
    },
    { ...line('HEAD /open/a HTTP/1.1'), route: listed },
    { ...line('POST /open/a HTTP/1.1'), route: listed },
  ],
  'request lines that mean more than a call': [
    ...[
      'CONNECT CANARY HTTP/1.1',
      'CONNECT /a HTTP/1.1',
      'TRACE /a HTTP/1.1',
      'PRI * HTTP/2.0',
      'OPTIONS * HTTP/1.1',
      'get /a HTTP/1.1',
      'G\tET /a HTTP/1.1',
      'GET/a HTTP/1.1',
      'FORGED /a HTTP/1.1',
      'SOURCE /a ICE/1.0',
      'DESCRIBE rtsp://CANARY/ RTSP/1.0',
      'GET /a',
      'GET /a HTTP/0.9',
      'GET /a HTTP/1.2',
      'GET /a HTTP/2.0',
      'GET /a http/1.1',
      'GET /a HTTP/1.1 ',
      'GET /a HTTP/1.1 HTTP/1.1',
      'GET\t/a HTTP/1.1',
    ].map(line),
    // Which RFC 9112, section 3, allows to be read as one blank; what arrives is written anew.
    { ...line('GET  /a HTTP/1.1'), arrives: '/a' },
  ],
  'other protocols': [
    fields('h2c', [
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    ]),
    fields('h2c, without Connection', ['Upgrade: h2c']),
    fields('h2c behind websocket', ['Connection: Upgrade', 'Upgrade: websocket, h2c']),
    fields('TLS within HTTP', ['Connection: Upgrade', 'Upgrade: TLS/1.0']),
    fields('two upgrades on two lines', ['Connection: upgrade', 'Upgrade: websocket', 'Upgrade: h2c']),
    {
      name: 'the preface of HTTP/2',
      bytes: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
      arrives: false,
    },
    { name: 'a TLS handshake', bytes: () => '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03', arrives: false },
    {
      name: 'the PROXY protocol',
      bytes: (host) => `PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n${get('/a', `Host: ${host}`)}`,
      arrives: false,
    },
  ],
  trailers: [
    ...[
      ...OURS,
      'x_cleartax_auth_token',
      'host',
      'authorization',
      'connection',
      'x-http-method-override',
    ].map((name) =>
      chunked(`named ${name}`, `2\r\nok\r\n0\r\n${name}: forged\r\n\r\n`, '/a', `Trailer: ${name}`),
    ),
    ...['Content-Length: 3', 'Transfer-Encoding: chunked'].map((text) =>
      chunked(`that frame the message: ${text}`, `2\r\nok\r\n0\r\n${text}\r\n\r\n`, false),
    ),
    chunked('with a folded line', `0\r\nX-A: 1\r\n ${TOKEN_HEADER}: forged\r\n\r\n`, false),
  ],
  'what is far too large': [
    fields('a field', `X-A: ${'a'.repeat(20_000)}`, false),
    fields('a name', `${'a'.repeat(20_000)}: 1`, false),
    fields(
      'all fields together',
      Array.from({ length: 9_000 }, () => 'a:'),
      false,
    ),
    target(`/${'a'.repeat(20_000)}`, false, '/aaa…'),
    target(`/%${'25'.repeat(3_000)}2f`, false, '/%2525…2f'),
    fields('a length', 'Content-Length: 99999999999999999999', false),
    fields('a length no number can hold', `Content-Length: ${'9'.repeat(400)}`, false),
    fields('a negative length', 'Content-Length: -1', false),
    chunked('a chunk size', `${'f'.repeat(17)}\r\n`, false),
    chunked('a chunk size of zeros', `${'0'.repeat(70_000)}1\r\na\r\n0\r\n\r\n`, false),
    chunked('a chunk extension', `1;${'a'.repeat(70_000)}\r\na\r\n0\r\n\r\n`, false),
    chunked('trailers', `0\r\n${'a:1\r\n'.repeat(20_000)}\r\n`, false),
  ],
}

const start = starter(createRelay)

/** Writes the attack's bytes and says how that was answered; null: the connection was closed. */
async function attempt(world: World, bytes: string): Promise<number | null> {
  const client = await world.client()
  client.socket.on('error', () => {})
  client.write(bytes)
  return await client.answer(bytes.split(' ', 1)[0]).then(
    ({ status }) => status,
    (error: unknown) => {
      assert.ok(error instanceof IncompleteMessage)
      return null
    },
  )
}

/** Every name in the form in which servers that turn names into variables compare them. */
const plainly = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

function assertHarmless({ fields: seen }: RawRequest, world: World): void {
  const names = seen.lines.map(([name]) => plainly(name))
  for (const name of OURS) {
    assert.equal(names.filter((other) => other === name).length, name === TOKEN_HEADER ? 1 : 0, name)
  }
  assert.deepEqual(seen.all(TOKEN_HEADER), [TOKEN])
  assert.deepEqual(seen.all('host'), [world.upstream.url.host])
  for (const name of HOP_BY_HOP) assert.ok(!names.includes(name), name)
}

async function canaryFor(t: TestContext): Promise<RawUpstream> {
  const canary = await new RawUpstream().listen()
  t.after(() => canary.close())
  return canary
}

for (const [group, cases] of Object.entries(attacks)) {
  describe(`injection: ${group}`, () => {
    const undo: (() => unknown)[] = []
    const suite = { after: (run: () => unknown) => undo.push(run) } as unknown as TestContext
    /** One relay for all cases of the group that have the same route. */
    const worlds = new Map<Partial<Route>, World>()
    let canary: RawUpstream
    before(async () => {
      canary = await canaryFor(suite)
      // The relay's own check of callers is on, so that their key is among what could leak.
      const options = { callerKeys: [new Secret(KEY)], forbiddenHeaders: new Set(OURS) }
      for (const { route = plain } of cases) {
        if (!worlds.has(route)) worlds.set(route, await start(suite, { route, options }))
      }
    })
    after(async () => {
      for (const run of undo.reverse()) await run()
    })

    for (const { name, bytes, arrives, as, route = plain } of cases) {
      it(`${name}: ${arrives === false ? 'is refused' : 'arrives harmless'}`, async () => {
        const world = worlds.get(route)
        assert.ok(world)
        world.upstream.requests.length = 0
        const text = bytes(world.host, canary.url.host)
        const withKey = text.replace(/\r\nHost: [^\n]*\n/, (found) => `${found}X-Sidecar-Key: ${KEY}\r\n`)
        const status = await attempt(world, withKey)
        await quiet(20)
        assert.equal(canary.connections, 0)
        if (arrives === false) {
          assert.ok(status === null || (status >= 400 && status < 500), `answered ${status}`)
          assert.deepEqual(
            world.upstream.requests.filter(({ complete }) => complete),
            [],
          )
          return
        }
        assert.equal(status, 200)
        assert.equal(world.upstream.requests.length, 1)
        const [request] = world.upstream.requests
        assert.ok(request)
        assert.equal(request.target, arrives === 'CANARY' ? / (\S+) /.exec(text)?.[1] : arrives)
        assertHarmless(request, world)
        assert.deepEqual((await request.trailers).lines, [])
        await as?.(request)
      })
    }
  })
}

describe('injection by the upstream', () => {
  it('a redirect is passed on and never followed, and one back to itself leads through the sidecar', async (t) => {
    const canary = await canaryFor(t)
    const world = await start(t, {
      script: (request) => {
        const to = request.target === '/away' ? canary.url : world.upstream.url
        answer(request, 302, [`Location: ${to}next`, `Refresh: 0; url=${to}next`])
      },
    })
    const away = await world.call('GET', '/away')
    assert.equal(away.fields.get('location'), `${canary.url}next`)
    assert.equal(away.fields.get('refresh'), `0; url=${canary.url}next`)
    const back = await world.call('GET', '/back')
    assert.equal(back.fields.get('location'), `http://${world.host}/next`)
    assert.equal(back.fields.get('refresh'), `0; url=http://${world.host}/next`)
    assert.equal(canary.connections, 0)
    assert.equal(world.upstream.requests.length, 2)
  })

  it('an answer that switches to h2c is refused, and nothing passes after it', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nHTTP2'),
    })
    const lines = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']
    const got = await world.call('GET', '/', lines)
    assert.equal(got.status, 502)
    assert.doesNotMatch(got.text, /HTTP2/)
  })

  it('a field with a line break splits no answer', async (t) => {
    for (const line of [
      'X-A: 1\rSet-Cookie: a=b',
      'X-A: 1\nSet-Cookie: a=b',
      'X-A: 1\r\n Set-Cookie: a=b',
      'X-A: \0',
    ]) {
      const world = await start(t, { script: (request) => answer(request, 200, [line]) })
      const got = await world.call('GET', '/')
      assert.equal(got.status, 502, JSON.stringify(line))
      assert.equal(got.fields.get('set-cookie'), null)
    }
  })

  it('a token in fields, reason phrase, body and trailers comes back as stars', async (t) => {
    const stars = '*'.repeat(TOKEN.length)
    const world = await start(t, {
      script: async (request) => {
        if (request.target === '/later') return answerOk(request)
        const head = `HTTP/1.1 400 No ${TOKEN}\r\nX-Echo: ${TOKEN}\r\nLocation: /?t=${TOKEN}\r\n`
        const body = `${TOKEN.length.toString(16)}\r\n${TOKEN}\r\n0\r\nX-Trailer: ${TOKEN}\r\n\r\n`
        request.socket.write(`${head}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n${body}`)
      },
    })
    const client = await world.client()
    const got = await client.call(world.message('GET', '/'))
    assert.equal(got.reason, `No ${stars}`)
    assert.equal(got.fields.get('x-echo'), stars)
    assert.equal(got.fields.get('location'), `/?t=${stars}`)
    assert.equal(got.text, stars)
    assert.equal(got.trailers.get('x-trailer'), stars)
    assert.equal((await client.call(world.message('GET', '/later'))).status, 200)
  })
})
