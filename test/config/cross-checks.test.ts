import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failure, load, variablesWithProblem } from './support.ts'

const KEY = { CALLER_KEY: 'a-long-random-caller-key' }

function warnings(env: Record<string, string>, files: Record<string, string> = {}) {
  return load(env, files).warnings
}

describe('a listener that other hosts can reach', () => {
  for (const listen of ['0.0.0.0:8080', '[::]:8080', '10.0.0.1:0', 'sidecar:8080']) {
    it(`needs a caller key: ${listen}`, () => {
      const { problems } = failure({ LISTEN: listen })
      assert.deepEqual(
        problems.map(({ variable }) => variable),
        ['CALLER_KEY'],
      )
      assert.match(problems[0]?.message ?? '', /x-sidecar-key, or listen on 127\.0\.0\.1 or a unix: socket/)
      assert.equal(load({ LISTEN: listen, ...KEY }).config.callerKeys?.length, 1)
    })
  }

  for (const listen of [
    '127.0.0.1:8080',
    '127.1.2.3:1',
    'localhost:8080',
    '[::1]:8080',
    'unix:/run/sidecar.sock',
  ]) {
    it(`is not ${listen}`, () => {
      assert.equal(load({ LISTEN: listen }).config.callerKeys, null)
    })
  }

  it('is advised to have keys of 16 characters, where other hosts can reach it above all', () => {
    const short = { CALLER_KEY: 'a-long-random-caller-key,fifteen-letters' }
    const [exposed] = warnings({ LISTEN: '0.0.0.0:8080', ...short })
    assert.equal(exposed?.variable, 'CALLER_KEY')
    assert.match(exposed?.message ?? '', /fewer than 16 characters.* other hosts can reach LISTEN/)
    const [local] = warnings(short)
    assert.match(local?.message ?? '', /fewer than 16 characters.* makes a better one$/)
  })

  it('with an invalid key has one problem, not two', () => {
    assert.deepEqual(variablesWithProblem({ LISTEN: '0.0.0.0:8080', CALLER_KEY: 'a b' }), ['CALLER_KEY'])
  })
})

describe('a caller key', () => {
  it('is not the client secret, of no route', () => {
    const shared = 'one-value-for-everything'
    const { problems } = failure({ CALLER_KEY: `a-long-random-caller-key,${shared}`, CLIENT_SECRET: shared })
    assert.deepEqual(
      problems.map(({ variable }) => variable),
      ['CALLER_KEY'],
    )
    const route = { ROUTES: 'gls', ROUTE_GLS_PREFIX: '/gls', ROUTE_GLS_CLIENT_SECRET: shared }
    assert.deepEqual(variablesWithProblem({ CALLER_KEY: shared, ...route }), ['CALLER_KEY'])
  })
})

describe('two listeners', () => {
  it('cannot have the same address', () => {
    assert.deepEqual(variablesWithProblem({ LISTEN: '127.0.0.1:9464' }), ['OPS_LISTEN'])
    assert.deepEqual(variablesWithProblem({ LISTEN: 'unix:/run/a', OPS_LISTEN: 'unix:/run/a' }), [
      'OPS_LISTEN',
    ])
  })

  it('can both ask for a free port', () => {
    assert.deepEqual(warnings({ LISTEN: '127.0.0.1:0', OPS_LISTEN: '127.0.0.1:0' }), [])
  })
})

describe('HOLD_TIMEOUT', () => {
  it('that a lease can outlast is a warning with the numbers', () => {
    assert.deepEqual(warnings({ MINT_TIMEOUT: '8s', MINT_QUARANTINE: '1500ms' }), [
      {
        variable: 'HOLD_TIMEOUT',
        message:
          'is 10s but should be longer than 10500ms (MINT_TIMEOUT + MINT_QUARANTINE + 1s): calls held for a replica that is killed while minting will fail',
      },
    ])
  })

  it('is compared strictly', () => {
    assert.equal(warnings({ HOLD_TIMEOUT: '8s' }).length, 1)
    assert.equal(warnings({ HOLD_TIMEOUT: '8001ms' }).length, 0)
  })

  it('is not compared with a setting that is itself invalid', () => {
    assert.deepEqual(failure({ HOLD_TIMEOUT: '1s', MINT_TIMEOUT: 'long' }).warnings, [])
  })
})

describe('warnings', () => {
  it('say that the token API refuses more than its quota', () => {
    assert.deepEqual(warnings({ MINT_DAILY_BUDGET: '288' }), [])
    assert.deepEqual(
      warnings({ MINT_DAILY_BUDGET: '289' }).map(({ variable }) => variable),
      ['MINT_DAILY_BUDGET'],
    )
  })

  it('say that one body cannot exceed the memory for all', () => {
    assert.deepEqual(
      warnings({ REPLAY_BODY_LIMIT: '65MiB' }).map(({ variable }) => variable),
      ['REPLAY_BODY_LIMIT'],
    )
  })

  it('name the variable that a short caller key came from, not the key', () => {
    const [warning] = warnings(
      { CALLER_KEY_FILE: '/run/keys' },
      { '/run/keys': 'a-long-random-caller-key,hunter2' },
    )
    assert.equal(warning?.variable, 'CALLER_KEY_FILE')
    assert.doesNotMatch(warning?.message ?? '', /hunter2/)
    assert.deepEqual(warnings(KEY), [])
  })

  it('name each URL that is plain http to another host', () => {
    const env = {
      UPSTREAM_URL: 'http://api.clear.in',
      TOKEN_URL: 'http://10.0.0.1/t',
      ROUTES: 'gls',
      ROUTE_GLS_PREFIX: '/gls',
      ROUTE_GLS_UPSTREAM_URL: 'http://gls.example',
      ROUTE_GLS_TOKEN_URL: 'https://gls.example/t',
    }
    assert.deepEqual(
      warnings(env).map(({ variable }) => variable),
      ['UPSTREAM_URL', 'ROUTE_GLS_UPSTREAM_URL', 'TOKEN_URL'],
    )
  })

  for (const host of ['localhost', 'api.localhost', '127.0.0.1', '127.9.9.9', '[::1]']) {
    it(`do not mind plain http to ${host}`, () => {
      assert.deepEqual(warnings({ UPSTREAM_URL: `http://${host}:3000` }), [])
    })
  }

  it('name a token URL without a path', () => {
    assert.deepEqual(
      warnings({ TOKEN_URL: 'https://api.clear.in' }).map(({ variable }) => variable),
      ['TOKEN_URL'],
    )
  })
})
