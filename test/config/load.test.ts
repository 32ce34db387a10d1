import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exits } from '../../proxy/lib/errors.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { failure, load, MINIMAL, variablesWithProblem } from './support.ts'

describe('loadConfig', () => {
  it('gives every default of the contract when only the required settings are set', () => {
    const { config, warnings } = load()
    assert.deepEqual(warnings, [])
    const { credentials, routes, ...rest } = config
    assert.deepEqual(rest, {
      listen: { kind: 'tcp', host: '127.0.0.1', port: 8080 },
      opsListen: { kind: 'tcp', host: '127.0.0.1', port: 9464 },
      callerKeys: null,
      allowedHosts: ['localhost', '127.0.0.1', '[::1]'],
      store: { kind: 'file', path: '/home/app/.local/state/token-sidecar/tokens.json' },
      token: {
        refreshLeadMs: null,
        rotateSchedule: null,
        holdTimeoutMs: 10_000,
        rotationHoldMs: 1_000,
        mintTimeoutMs: 5_000,
        mintQuarantineMs: 2_000,
        mintMinIntervalMs: 30_000,
        mintDailyBudget: 240,
      },
      relay: {
        rejectedStatus: [401],
        maskToken: true,
        replayBodyLimitBytes: 1_048_576,
        replayMemoryLimitBytes: 67_108_864,
        upstreamConnectTimeoutMs: 5_000,
        upstreamTimeoutMs: 120_000,
        upstreamTls: { ca: undefined, cert: undefined, key: undefined },
        maxConnections: 1_024,
        maxHeaderBytes: 16_384,
      },
      shutdownTimeoutMs: 25_000,
      log: { level: 'info', format: 'json', accessLog: 'errors' },
    })
    assert.equal(routes.length, 1)
    const [{ upstream, ...route } = assert.fail()] = routes
    assert.equal(upstream.href, 'https://api.clear.in/')
    assert.deepEqual(route, {
      name: 'default',
      prefix: '/',
      tokenHeader: 'x-cleartax-auth-token',
      tokenPrefix: '',
      allow: null,
      credential: 'default',
    })
    assert.equal(credentials.length, 1)
    const [{ tokenUrl, secret, ...credential } = assert.fail()] = credentials
    assert.equal(tokenUrl.href, 'https://api.clear.in/integration/v1/authz/token')
    assert.ok(secret.matches(MINIMAL.CLIENT_SECRET))
    assert.deepEqual(credential, { name: 'default', secretFile: null })
  })

  it('puts the token URL on the origin of the upstream, without the path of its base', () => {
    const { config } = load({ UPSTREAM_URL: 'https://api.clear.in:8443/middle-east/ksa/' })
    assert.equal(config.credentials[0]?.tokenUrl.href, 'https://api.clear.in:8443/integration/v1/authz/token')
    assert.equal(config.routes[0]?.upstream.href, 'https://api.clear.in:8443/middle-east/ksa')
  })

  it('freezes the result all the way down', () => {
    const { config } = load({
      ALLOW: 'GET /a/**',
      CALLER_KEY: 'a-long-caller-key',
      ROUTES: 'gls',
      ROUTE_GLS_PREFIX: '/gls',
    })
    const loose: string[] = []
    let frozen = 0
    const visit = (path: string, value: unknown): void => {
      if (typeof value !== 'object' || value === null || value instanceof URL || value instanceof Secret)
        return
      if (Object.isFrozen(value)) frozen++
      else loose.push(path)
      for (const [key, part] of Object.entries(value)) visit(`${path}.${key}`, part)
    }
    visit('config', config)
    assert.deepEqual(loose, [])
    assert.ok(frozen > 15, `only ${frozen} objects were looked at`)
  })

  it('takes a variable that is set to nothing or to white space for one that is not set', () => {
    const { config } = load({
      LISTEN: '',
      MINT_TIMEOUT: '  ',
      TOKEN_PREFIX: '',
      CLIENT_SECRET_FILE: '',
      ROUTES: '',
    })
    assert.deepEqual(config, load().config)
    assert.deepEqual(variablesWithProblem({ CLIENT_SECRET: ' ' }), ['CLIENT_SECRET'])
  })

  it('removes white space around values, but not around the token prefix', () => {
    const { config } = load({ LOG_LEVEL: ' debug\n', TOKEN_PREFIX: 'Bearer ' })
    assert.equal(config.log.level, 'debug')
    assert.equal(config.routes[0]?.tokenPrefix, 'Bearer ')
  })
})

describe('a bad configuration', () => {
  const bad = {
    CLIENT_SECRET: undefined,
    UPSTREAM_URL: 'ftp://api.clear.in',
    MINT_TIMEOUT: '60',
    MASK_TOKEN: 'yes',
    MAX_CONNECTIONS: '0',
    ROUTES: 'gls',
    ROUTE_GLS_TOKEN_URL: 'nowhere',
  }

  it('is reported whole, by variable name', () => {
    assert.deepEqual(variablesWithProblem(bad).sort(), [
      'CLIENT_SECRET',
      'MASK_TOKEN',
      'MAX_CONNECTIONS',
      'MINT_TIMEOUT',
      'ROUTE_GLS_PREFIX',
      'ROUTE_GLS_TOKEN_URL',
      'UPSTREAM_URL',
    ])
  })

  it('ends the process with exit code 78 and a message with a line for each problem', () => {
    const error = failure(bad)
    assert.equal(error.code, 'config_invalid')
    assert.equal(exits[error.code], 78)
    for (const { variable, message } of error.problems)
      assert.ok(error.message.includes(`\n  ${variable} ${message}`))
  })

  it('shows the value of a setting that holds no secret', () => {
    assert.match(failure({ MINT_TIMEOUT: '60' }).message, /MINT_TIMEOUT must be a whole number .*, not "60"$/)
  })

  it('comes with the warnings, since a misspelled name explains a missing one', () => {
    const { message } = failure({ CLIENT_SECRET: undefined, CLIENT_SECRETS: 'hidden-value' })
    assert.match(message, /CLIENT_SECRET is required: set it or CLIENT_SECRET_FILE/)
    assert.match(message, /CLIENT_SECRETS is not a setting: did you mean CLIENT_SECRET\?/)
    assert.doesNotMatch(message, /hidden-value/)
  })

  it('names each missing required setting once', () => {
    assert.deepEqual(variablesWithProblem({ CLIENT_SECRET: undefined, UPSTREAM_URL: undefined }), [
      'CLIENT_SECRET',
      'UPSTREAM_URL',
    ])
  })
})

describe('secrets', () => {
  it('never appear in the error, whichever variable they were put in', () => {
    const value = 'hunter2-hunter2'
    const everywhere = Object.fromEntries(
      [
        'CLIENT_SECRET',
        'UPSTREAM_URL',
        'TOKEN_URL',
        'LISTEN',
        'ALLOWED_HOSTS',
        'TOKEN_STORE',
        'MINT_TIMEOUT',
        'MINT_DAILY_BUDGET',
        'REPLAY_BODY_LIMIT',
        'MASK_TOKEN',
        'LOG_LEVEL',
        'ROTATE_SCHEDULE',
        'ALLOW',
        'ROUTES',
        'CALLER_KEY_FILE',
        'UPSTREAM_CA_FILE',
      ].map((name) => [name, value]),
    )
    const error = failure(everywhere)
    assert.ok(error.problems.length >= 12)
    assert.ok(!error.message.includes(value), error.message)
    assert.ok(!JSON.stringify(error.problems).includes(value))
  })

  it('never appear in the error as part of a URL or with a character that is not allowed', () => {
    const { message } = failure({
      CLIENT_SECRET: 'hunter2\r\nhunter3',
      UPSTREAM_URL: 'https://user:hunter4@host',
      TOKEN_STORE: 'redis://:hunter5@host/name',
      CALLER_KEY: 'hunter6,hunter 7,',
    })
    assert.doesNotMatch(message, /hunter/)
  })

  it('that are read from a file never appear in the error either', () => {
    const files = { '/run/secret': 'hunter2-hunter2\n' }
    const { message } = failure(
      { CLIENT_SECRET: undefined, CLIENT_SECRET_FILE: '/run/secret', LOG_LEVEL: 'hunter2-hunter2' },
      files,
    )
    assert.match(message, /LOG_LEVEL is not valid, and repeats the value of a secret/)
    assert.doesNotMatch(message, /hunter/)
  })

  it('never appear in the configuration as text', () => {
    const { config } = load({
      CALLER_KEY: 'hunter2-hunter2-hunter2',
      TOKEN_STORE: 'redis://:hunter3@host/0',
      CLIENT_SECRET: 'hunter4',
    })
    assert.doesNotMatch(JSON.stringify(config), /hunter/)
  })
})

describe('a setting from a file', () => {
  const fromFile = { CLIENT_SECRET: undefined, CLIENT_SECRET_FILE: '/run/secret' }

  it('is the content without the white space around it, and its path is kept', () => {
    const { config } = load(fromFile, { '/run/secret': '\uFEFF the-secret\r\n' })
    assert.ok(config.credentials[0]?.secret.matches('the-secret'))
    assert.equal(config.credentials[0]?.secretFile, '/run/secret')
  })

  it('can be the caller keys as well', () => {
    const { config } = load(
      { CALLER_KEY_FILE: '/run/keys' },
      { '/run/keys': 'first-key-of-callers,second-key-of-callers\n' },
    )
    assert.deepEqual(
      config.callerKeys?.map((key) => key.reveal()),
      ['first-key-of-callers', 'second-key-of-callers'],
    )
  })

  it('cannot be set in both ways', () => {
    const { problems } = failure({ CLIENT_SECRET_FILE: '/run/secret' }, { '/run/secret': 'the-secret' })
    assert.deepEqual(problems, [
      { variable: 'CLIENT_SECRET', message: 'is set and CLIENT_SECRET_FILE is too: set only one of them' },
    ])
  })

  it('cannot be empty', () => {
    const { problems } = failure(fromFile, { '/run/secret': ' \n' })
    assert.deepEqual(problems, [{ variable: 'CLIENT_SECRET_FILE', message: 'names a file that is empty' }])
  })

  it('cannot hold what a header cannot', () => {
    assert.deepEqual(variablesWithProblem(fromFile, { '/run/secret': 'line one\nline two' }), [
      'CLIENT_SECRET_FILE',
    ])
  })

  it('that cannot be read is reported with path and system error code', () => {
    const { problems } = failure(fromFile)
    assert.deepEqual(problems, [
      { variable: 'CLIENT_SECRET_FILE', message: 'names a file that cannot be read: /run/secret (ENOENT)' },
    ])
  })

  it('whose path may be the secret itself is reported without it', () => {
    const { message } = failure({ CLIENT_SECRET: undefined, CLIENT_SECRET_FILE: 'hunter2' })
    assert.match(message, /ENOENT/)
    assert.doesNotMatch(message, /hunter2/)
  })
})

describe('the default token file', () => {
  it('is in XDG_STATE_HOME when that is an absolute path', () => {
    assert.deepEqual(load({ XDG_STATE_HOME: '/state/' }).config.store, {
      kind: 'file',
      path: '/state/token-sidecar/tokens.json',
    })
    assert.deepEqual(load({ XDG_STATE_HOME: 'state' }).config.store, load().config.store)
  })

  it('is what "file:" alone means', () => {
    assert.deepEqual(load({ TOKEN_STORE: 'file:' }).config.store, load().config.store)
  })

  it('needs a home directory, which any other store does without', () => {
    assert.deepEqual(
      failure({}, {}, '').problems.map(({ variable }) => variable),
      ['TOKEN_STORE'],
    )
    assert.deepEqual(load({ TOKEN_STORE: 'memory:' }, {}, '').config.store, { kind: 'memory' })
    assert.deepEqual(load({ TOKEN_STORE: 'file:/a/b' }, {}, '').config.store, { kind: 'file', path: '/a/b' })
  })
})
