import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failure, load, variablesWithProblem } from './support.ts'

const GLS = { ROUTES: 'gls', ROUTE_GLS_PREFIX: '/gls' }

/** Name, URL and file of each credential. */
function credentials(env: Record<string, string | undefined>, files: Record<string, string> = {}) {
  return load(env, files).config.credentials.map(({ name, tokenUrl, secretFile }) => [
    name,
    tokenUrl.href,
    secretFile,
  ])
}

function routes(env: Record<string, string | undefined>) {
  return load(env).config.routes.map(({ name, prefix, credential }) => [name, prefix, credential])
}

describe('routes', () => {
  it('are ordered by the length of their prefix, the main one last', () => {
    const env = {
      ROUTES: 'short,long',
      ROUTE_SHORT_PREFIX: '/a',
      ROUTE_LONG_PREFIX: '/a/b',
    }
    assert.deepEqual(routes(env), [
      ['long', '/a/b', 'default'],
      ['short', '/a', 'default'],
      ['default', '/', 'default'],
    ])
  })

  it('inherit what they do not set', () => {
    const [gls] = load({ ...GLS, TOKEN_HEADER: 'X-Main', TOKEN_PREFIX: 'Bearer ', ALLOW: 'GET /**' }).config
      .routes
    assert.equal(gls?.upstream.href, 'https://api.clear.in/')
    assert.equal(gls?.tokenHeader, 'x-main')
    assert.equal(gls?.tokenPrefix, 'Bearer ')
    assert.deepEqual(gls?.allow, [{ method: 'GET', path: '/**' }])
  })

  it('have what they set, and the main route does not', () => {
    const [gls, main] = load({
      ...GLS,
      ROUTE_GLS_UPSTREAM_URL: 'https://gls.example/base/',
      ROUTE_GLS_TOKEN_HEADER: 'x-clear-auth-token',
      ROUTE_GLS_TOKEN_PREFIX: 'Token ',
      ROUTE_GLS_ALLOW: 'POST /base/**',
    }).config.routes
    assert.equal(gls?.upstream.href, 'https://gls.example/base')
    assert.equal(gls?.tokenHeader, 'x-clear-auth-token')
    assert.equal(gls?.tokenPrefix, 'Token ')
    assert.deepEqual(gls?.allow, [{ method: 'POST', path: '/base/**' }])
    assert.equal(main?.upstream.href, 'https://api.clear.in/')
    assert.equal(main?.tokenHeader, 'x-cleartax-auth-token')
    assert.equal(main?.allow, null)
  })

  it('have names that count as one in upper and lower case', () => {
    assert.deepEqual(variablesWithProblem({ ROUTES: 'gls,GLS', ROUTE_GLS_PREFIX: '/gls' }), ['ROUTES'])
  })

  it('cannot share a prefix', () => {
    const { problems } = failure({ ROUTES: 'a,b', ROUTE_A_PREFIX: '/x', ROUTE_B_PREFIX: '/x/' })
    assert.deepEqual(problems, [{ variable: 'ROUTE_B_PREFIX', message: 'is the same as ROUTE_A_PREFIX' }])
  })

  it('cannot have names that make one variable belong to two of them', () => {
    const { problems } = failure({ ROUTES: 'a,a_token', ROUTE_A_PREFIX: '/a', ROUTE_A_TOKEN_PREFIX: '/t' })
    assert.match(problems[0]?.message ?? '', /both a and a_token: ROUTE_A_TOKEN_PREFIX/)
  })
})

describe('credentials', () => {
  it('are one for routes with the same token URL and secret', () => {
    const url = 'https://api.clear.in/integration/v1/authz/token'
    assert.deepEqual(credentials({ ...GLS, ROUTE_GLS_CLIENT_SECRET: 'the-client-secret' }), [
      ['default', url, null],
    ])
    const env = { ROUTES: 'a,b', ROUTE_A_PREFIX: '/a', ROUTE_B_PREFIX: '/b' }
    const byFile = { ROUTE_A_CLIENT_SECRET_FILE: '/run/x', ROUTE_B_CLIENT_SECRET_FILE: '/run/x' }
    assert.deepEqual(credentials({ ...env, ...byFile }, { '/run/x': 'other' }), [
      ['default', url, null],
      ['a', url, '/run/x'],
    ])
  })

  it('are two where equal secrets come from two places, of which each may change', () => {
    const same = { ...GLS, ROUTE_GLS_CLIENT_SECRET_FILE: '/run/gls' }
    const url = 'https://api.clear.in/integration/v1/authz/token'
    assert.deepEqual(credentials(same, { '/run/gls': 'the-client-secret' }), [
      ['default', url, null],
      ['gls', url, '/run/gls'],
    ])
  })

  it('are two for two secrets, named after the first route that uses them', () => {
    const env = {
      ROUTES: 'one,two',
      ROUTE_ONE_PREFIX: '/one',
      ROUTE_ONE_CLIENT_SECRET_FILE: '/run/other',
      ROUTE_TWO_PREFIX: '/two',
      ROUTE_TWO_CLIENT_SECRET_FILE: '/run/other',
    }
    const { config } = load(env, { '/run/other': 'other' })
    assert.deepEqual(
      config.credentials.map(({ name, secretFile }) => [name, secretFile]),
      [
        ['default', null],
        ['one', '/run/other'],
      ],
    )
    assert.deepEqual(
      config.routes.map(({ name, credential }) => [name, credential]),
      [
        ['one', 'one'],
        ['two', 'one'],
        ['default', 'default'],
      ],
    )
  })

  it('of a route with its own upstream are minted on that origin when no token URL is set', () => {
    assert.deepEqual(credentials({ ...GLS, ROUTE_GLS_UPSTREAM_URL: 'https://gls.example/x' }), [
      ['default', 'https://api.clear.in/integration/v1/authz/token', null],
      ['gls', 'https://gls.example/integration/v1/authz/token', null],
    ])
  })

  it('of a route with its own upstream inherit a token URL that is set', () => {
    const env = {
      ...GLS,
      TOKEN_URL: 'https://main.example/t',
      ROUTE_GLS_UPSTREAM_URL: 'https://gls.example/x',
    }
    assert.deepEqual(credentials(env), [['default', 'https://main.example/t', null]])
  })

  it('of a route with neither URL are minted where the main ones are', () => {
    const env = { ...GLS, TOKEN_URL: 'https://main.example/t', ROUTE_GLS_CLIENT_SECRET: 'other' }
    assert.deepEqual(credentials(env), [
      ['default', 'https://main.example/t', null],
      ['gls', 'https://main.example/t', null],
    ])
  })

  it('of a route with its own token URL are minted there', () => {
    const env = {
      ...GLS,
      ROUTE_GLS_UPSTREAM_URL: 'https://gls.example',
      ROUTE_GLS_TOKEN_URL: 'https://auth.example/t',
    }
    assert.deepEqual(credentials(env)[1], ['gls', 'https://auth.example/t', null])
  })
})
