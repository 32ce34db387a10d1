import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import { type CallHead, createAdmission } from '../../proxy/relay/admission.ts'
import type { Route } from '../../proxy/relay/forwarder.ts'
import { heldToken, ScriptedTokens } from '../support/token-source.ts'

const TOKEN_PATH = '/integration/v1/authz/token'

function route(settings: Partial<Route> = {}): Route {
  return {
    name: 'default',
    prefix: '/',
    upstream: new URL('https://api.example'),
    tokenHeader: 'x-cleartax-auth-token',
    tokenPrefix: '',
    allow: null,
    tokens: new ScriptedTokens(heldToken('token')),
    credential: 'default',
    ...settings,
  }
}

function admission(settings: { routes?: Route[]; tokenPaths?: string[]; callerKeys?: Secret[] } = {}) {
  return createAdmission({
    routes: settings.routes ?? [route()],
    tokenPaths: settings.tokenPaths ?? [TOKEN_PATH],
    allowedHosts: ['localhost', '127.0.0.1', '[::1]'],
    callerKeys: settings.callerKeys ?? null,
  })
}

function head(change: Partial<CallHead> = {}): CallHead {
  return {
    method: 'GET',
    target: '/',
    host: 'localhost:8080',
    hostCount: 1,
    origin: null,
    secFetchSite: null,
    callerKey: null,
    ...change,
  }
}

/** The upstream target, or the code of the refusal. */
function verdict(admit: ReturnType<typeof admission>, change: Partial<CallHead>): string {
  const result = admit(head(change))
  return typeof result === 'string' ? result : result.target
}

describe('admission: who calls', () => {
  it('accepts each allowed name with any port, in any case, with a dot at the end', () => {
    const hosts = [
      'localhost',
      'LOCALHOST:1',
      'localhost.',
      'localhost.:80',
      '127.0.0.1:99',
      '[::1]',
      '[::1]:80',
    ]
    for (const host of [...hosts, '[0:0:0:0:0:0:0:1]:80', 'localhost:']) {
      assert.equal(verdict(admission(), { host }), '/', host)
    }
  })

  it('refuses other names as forbidden', () => {
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127a0b0c1',
      'evil.example:8080',
      '[::2]',
      '.',
    ]) {
      assert.equal(verdict(admission(), { host }), 'request_forbidden', host)
    }
  })

  it('refuses what is no host name as invalid', () => {
    for (const host of [
      '',
      'user@localhost',
      'localhost/path',
      'localhost:80:80',
      'localhost,evil',
      '[::1',
      '[:::]',
      'a b',
    ]) {
      assert.equal(verdict(admission(), { host }), 'request_invalid', host)
    }
  })

  it('wants exactly one Host, and none only of HTTP/1.0', () => {
    assert.equal(verdict(admission(), { host: 'localhost, localhost', hostCount: 2 }), 'request_invalid')
    assert.equal(verdict(admission(), { host: 'localhost', hostCount: 2 }), 'request_invalid')
    assert.equal(verdict(admission(), { host: null, hostCount: 0 }), 'request_invalid')
    assert.equal(verdict(admission(), { host: null, hostCount: 0, http10: true }), '/')
    assert.equal(verdict(admission(), { host: 'evil.example', http10: true }), 'request_forbidden')
  })

  it('does not let an accepted Host vouch for the next one', () => {
    const admit = admission()
    assert.equal(verdict(admit, { host: 'localhost:8080' }), '/')
    assert.equal(verdict(admit, { host: 'evil.example' }), 'request_forbidden')
    assert.equal(verdict(admit, { host: 'localhost:8080' }), '/')
  })

  it('refuses what a browser sends for a page of another site', () => {
    for (const origin of [
      'https://evil.example',
      'null',
      '',
      'localhost',
      'http://localhost.evil.example',
      'http://localhost, http://evil',
    ]) {
      assert.equal(verdict(admission(), { origin }), 'request_forbidden', origin)
    }
    for (const secFetchSite of ['cross-site', 'same-site', 'anything']) {
      assert.equal(verdict(admission(), { secFetchSite }), 'request_forbidden', secFetchSite)
    }
    assert.equal(verdict(admission(), { origin: 'http://localhost:3000' }), '/')
    assert.equal(verdict(admission(), { secFetchSite: 'same-origin' }), '/')
    assert.equal(verdict(admission(), { secFetchSite: 'none' }), '/')
  })

  it('wants one of the caller keys when there are any', () => {
    const admit = admission({ callerKeys: [new Secret('old key'), new Secret('new key')] })
    assert.equal(verdict(admit, { callerKey: 'old key' }), '/')
    assert.equal(verdict(admit, { callerKey: 'new key' }), '/')
    for (const callerKey of [null, '', 'other', 'old key, new key']) {
      assert.equal(verdict(admit, { callerKey }), 'request_forbidden', String(callerKey))
    }
  })

  it('tells a stranger nothing about routes', () => {
    const admit = admission({ routes: [route({ prefix: '/gls' })], callerKeys: [new Secret('key')] })
    assert.equal(verdict(admit, { target: '/nowhere' }), 'request_forbidden')
  })
})

describe('admission: what is asked', () => {
  it('refuses methods that are not calls of an API', () => {
    assert.equal(verdict(admission(), { method: 'CONNECT', target: 'api.example:443' }), 'request_invalid')
    assert.equal(verdict(admission(), { method: 'TRACE' }), 'request_forbidden')
  })

  it('refuses targets that are not a path', () => {
    for (const target of [
      '*',
      '',
      'a',
      '@host/',
      'http://evil.example/',
      'evil.example:443',
      '/a#b',
      '/a?b#c',
      '/\u00e9',
      '/a\u007f',
    ]) {
      assert.equal(verdict(admission(), { target }), 'request_invalid', target)
    }
  })

  it('passes every other target byte for byte', () => {
    for (const target of [
      '/',
      '/a%2Fb%2f..%2Fc',
      '//127.0.0.1:1/steal',
      '/a//b/',
      '/a;p=1/b',
      '/%zz%',
      '/a\\b',
      '/.well-known/x',
      '/a?b=1&b=2;c=%zz&../x',
      '/a?',
    ]) {
      assert.equal(verdict(admission(), { target }), target)
    }
  })

  it('refuses dot segments in every spelling', () => {
    for (const target of [
      '/a/../b',
      '/..',
      '/a/.',
      '/%2e%2e/a',
      '/pub/%2e%2e/%2E%2E%2fadmin',
      '/a\\..\\b',
      '/a/..;/b',
    ]) {
      assert.equal(verdict(admission(), { target }), 'request_invalid', target)
    }
  })

  it('refuses the token path in every spelling', () => {
    for (const target of [
      TOKEN_PATH,
      `${TOKEN_PATH}?x=1`,
      `${TOKEN_PATH}/`,
      `${TOKEN_PATH}.json`,
      `${TOKEN_PATH}.`,
      `${TOKEN_PATH}%20`,
      `${TOKEN_PATH}%00.png`,
      `${TOKEN_PATH}%3fx`,
      '/Integration/V1/authz/Token',
      '//integration/v1//authz/token',
      '/integration/v1/authz/%74oken',
      '/integration/v1/authz/%2574oken',
      '/integration%2fv1%2fauthz%2ftoken',
      '/integration%252Fv1/authz/token',
      '/integration\\v1\\authz\\token',
      '/integration/v1;a=b/authz/token;c',
      '/x%2f..%2fintegration/v1/authz/token',
      '/integration/v1/authz/%EF%BD%94oken',
    ]) {
      assert.equal(verdict(admission(), { target }), 'request_forbidden', target)
    }
    assert.equal(verdict(admission(), { target: `${TOKEN_PATH}s` }), `${TOKEN_PATH}s`)
  })

  it('refuses configured token paths, and the usual one although another is configured', () => {
    const admit = admission({ tokenPaths: ['/auth/mint'] })
    assert.equal(verdict(admit, { target: '/Auth/mint' }), 'request_forbidden')
    assert.equal(verdict(admit, { target: TOKEN_PATH }), 'request_forbidden')
  })

  it('refuses the token path that arises from prefix and base path', () => {
    const based = admission({ routes: [route({ upstream: new URL('https://api.example/integration/') })] })
    assert.equal(verdict(based, { target: '/v1/authz/token' }), 'request_forbidden')
    assert.equal(verdict(based, { target: '/v1/authz/%74oken' }), 'request_forbidden')
    assert.equal(verdict(based, { target: TOKEN_PATH }), 'request_forbidden')
    const prefixed = admission({ routes: [route({ prefix: '/gls' })] })
    assert.equal(verdict(prefixed, { target: `/gls${TOKEN_PATH}` }), 'request_forbidden')
    assert.equal(verdict(prefixed, { target: '/gls/integration/v1/authz%2ftoken' }), 'request_forbidden')
  })
})

describe('admission: where it goes', () => {
  const routes = [
    route(),
    route({ name: 'gls', prefix: '/gls', upstream: new URL('https://gls.example') }),
    route({ name: 'ksa', prefix: '/gls/ksa', upstream: new URL('https://ksa.example/middle-east/ksa/') }),
  ]

  it('takes the longest prefix of whole segments and removes it', () => {
    const admit = admission({ routes })
    const cases: [target: string, name: string, upstreamTarget: string][] = [
      ['/x', 'default', '/x'],
      ['/glsx', 'default', '/glsx'],
      ['/GLS/x', 'default', '/GLS/x'],
      ['/gls', 'gls', '/'],
      ['/gls/', 'gls', '/'],
      ['/gls?a=1', 'gls', '/?a=1'],
      ['/gls/x?a=/gls', 'gls', '/x?a=/gls'],
      ['/gls/ksax', 'gls', '/ksax'],
      ['/gls/ksa', 'ksa', '/middle-east/ksa/'],
      ['/gls/ksa/x%20y', 'ksa', '/middle-east/ksa/x%20y'],
    ]
    for (const [target, name, upstreamTarget] of cases) {
      const result = admit(head({ target }))
      assert.ok(typeof result === 'object', target)
      assert.deepEqual([result.route.name, result.target], [name, upstreamTarget], target)
    }
  })

  it('has no route when no prefix matches', () => {
    assert.equal(verdict(admission({ routes: routes.slice(1) }), { target: '/other' }), 'route_not_found')
  })

  it('lets nothing climb out of a prefix, a base path or an allow list', () => {
    const confined = [
      route({ prefix: '/gls' }),
      route({ upstream: new URL('https://api.example/gls') }),
      route({ allow: [{ method: '*', path: '/gls/**' }] }),
    ]
    for (const one of confined) {
      const admit = admission({ routes: [one] })
      for (const target of ['/gls/a%2f..%2f..%2fb', '/gls/%252e%252e/b', '/gls/..%5cb']) {
        assert.equal(verdict(admit, { target }), 'request_invalid', target)
      }
    }
  })

  it('forwards what the allow list names, judged on the path the upstream will see', () => {
    const admit = admission({
      routes: [
        route({
          upstream: new URL('https://api.example/base'),
          allow: [
            { method: 'GET', path: '/base/einv/**' },
            { method: 'POST', path: '/base/einv/generate' },
          ],
        }),
      ],
    })
    assert.equal(verdict(admit, { target: '/einv/x?y' }), '/base/einv/x?y')
    assert.equal(verdict(admit, { target: '/einv/a%20b' }), '/base/einv/a%20b')
    assert.equal(verdict(admit, { method: 'POST', target: '/einv/generate?x' }), '/base/einv/generate?x')
    assert.equal(verdict(admit, { method: 'POST', target: '/einv/x' }), 'request_forbidden')
    assert.equal(verdict(admit, { target: '/other' }), 'request_forbidden')
    for (const target of ['/einv/a%2fb', '/einv/a%5cb', '/einv/a\\b', '/einv/a%252fb', '/einv/a%2%66b']) {
      assert.equal(verdict(admit, { target }), 'request_forbidden', target)
    }
  })

  it('forwards under an allow list nothing whose method or path a field may override', () => {
    const change = { target: '/open', overrides: true }
    const listed = admission({ routes: [route({ allow: [{ method: 'GET', path: '/open' }] })] })
    assert.equal(verdict(listed, change), 'request_forbidden')
    assert.equal(verdict(admission(), change), '/open')
  })

  it('refuses overlong forms, which lenient servers read as a slash or a dot', () => {
    for (const target of ['/integration%c0%afv1/authz/token', '/%c0%ae%c0%ae/x']) {
      assert.equal(verdict(admission(), { target }), 'request_invalid', target)
    }
  })

  it('does not let the query take part in matching', () => {
    const admit = admission({ routes: [route({ allow: [{ method: 'GET', path: '/open' }] })] })
    assert.equal(verdict(admit, { target: '/secret?/open' }), 'request_forbidden')
    assert.equal(verdict(admit, { target: '/open?/../secret' }), '/open?/../secret')
  })
})
