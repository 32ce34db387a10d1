import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compared, editsWithin, resemblance } from '../../config/resemblance.ts'
import { mainVariables } from '../../config/variables.ts'
import { fc } from '../support/fast-check.ts'
import { load, MINIMAL } from './support.ts'

const GLS = { ROUTES: 'gls', ROUTE_GLS_PREFIX: '/gls' }

function warnings(env: Record<string, string>): string[] {
  return load(env).warnings.map(({ variable, message }) => `${variable} ${message}`)
}

describe('a misspelled variable', () => {
  const misspelled = {
    CLIENT_SECRETS: 'CLIENT_SECRET',
    UPSTREM_URL: 'UPSTREAM_URL',
    UPSTREAM_URLS: 'UPSTREAM_URL',
    UPSTREAM_URI: 'UPSTREAM_URL',
    ALLOWED_HOST: 'ALLOWED_HOSTS',
    ALLOW_HOSTS: 'ALLOWED_HOSTS',
    HOSTS_ALLOWED: 'ALLOWED_HOSTS',
    SECRET_CLIENT: 'CLIENT_SECRET',
    CLIENT_SECRET_FIEL: 'CLIENT_SECRET_FILE',
    CLIENTSECRET: 'CLIENT_SECRET',
    client_secret: 'CLIENT_SECRET',
    LISTNE: 'LISTEN',
    ALOW: 'ALLOW',
    ROUTE: 'ROUTES',
    LOGLEVEL: 'LOG_LEVEL',
    TIMEOUT_UPSTREAM: 'UPSTREAM_TIMEOUT',
    MAX_CONNECTION: 'MAX_CONNECTIONS',
  }
  for (const [wrong, right] of Object.entries(misspelled)) {
    it(`${wrong} is reported with ${right}`, () => {
      assert.deepEqual(warnings({ [wrong]: 'x' }), [`${wrong} is not a setting: did you mean ${right}?`])
    })
  }

  it('is not reported when it is set to nothing', () => {
    assert.deepEqual(warnings({ CLIENT_SECRETS: '' }), [])
  })

  it('is found for every setting with one letter left out, doubled or swapped', () => {
    const known = mainVariables()
    fc.assert(
      fc.property(
        fc.constantFrom(...known),
        fc.nat(),
        fc.constantFrom('drop', 'double', 'swap'),
        (name, at, slip) => {
          const i = at % (name.length - 1)
          const wrong = {
            drop: name.slice(0, i) + name.slice(i + 1),
            double: name.slice(0, i) + name[i] + name.slice(i),
            swap: name.slice(0, i) + name[i + 1] + name[i] + name.slice(i + 2),
          }[slip]
          if (known.includes(wrong)) return
          assert.ok((resemblance(compared(wrong), compared(name)) ?? 9) <= 1, wrong)
        },
      ),
    )
  })
})

describe('the edit distance', () => {
  it('counts insertions, deletions, replacements and swaps of neighbours', () => {
    assert.equal(editsWithin(9, '', 'abc'), 3)
    assert.equal(editsWithin(9, 'abc', 'abc'), 0)
    assert.equal(editsWithin(9, 'abc', 'acb'), 1)
    assert.equal(editsWithin(9, 'kitten', 'sitting'), 3)
  })

  it('is given up early exactly when it is over the limit', () => {
    const name = fc.string({ unit: fc.constantFrom('A', 'B', '_'), maxLength: 8 })
    fc.assert(
      fc.property(name, name, fc.nat(4), (a, b, limit) => {
        const edits = editsWithin(16, a, b) as number
        assert.equal(editsWithin(limit, a, b), edits <= limit ? edits : null)
      }),
    )
  })
})

describe('an environment of other programs', () => {
  it('causes no warning', () => {
    const names =
      `PATH HOME HOSTNAME HOST PORT PWD OLDPWD SHELL SHLVL TERM USER LOGNAME LANG LC_ALL TZ TMPDIR MAIL EDITOR _
      NODE_ENV NODE_OPTIONS NODE_VERSION NODE_EXTRA_CA_CERTS NODE_PATH YARN_VERSION npm_config_cache npm_package_name
      npm_lifecycle_event npm_execpath INIT_CWD COLOR FORCE_COLOR NO_COLOR CI DEBUG
      HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy ALL_PROXY SSL_CERT_FILE SSL_CERT_DIR
      LISTEN_FDS LISTEN_PID LISTEN_FDNAMES NOTIFY_SOCKET INVOCATION_ID JOURNAL_STREAM XDG_STATE_HOME XDG_RUNTIME_DIR
      XDG_CONFIG_HOME DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK SSH_CONNECTION DISPLAY WAYLAND_DISPLAY
      KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT KUBERNETES_PORT_443_TCP
      KUBERNETES_PORT_443_TCP_ADDR KUBERNETES_PORT_443_TCP_PORT KUBERNETES_PORT_443_TCP_PROTO
      TOKEN_SIDECAR_SERVICE_HOST TOKEN_SIDECAR_SERVICE_PORT TOKEN_SIDECAR_PORT ROUTE_X_SERVICE_HOST ROUTE_X_PORT
      ROUTE_X_PORT_80_TCP_ADDR UPSTREAM_SERVICE_PORT_HTTP UPSTREAM_PORT_80_TCP
      POD_NAME POD_NAMESPACE POD_IP NAMESPACE SERVICE_NAME SERVICE_ACCOUNT CONTAINER_NAME
      AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN
      AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID GOOGLE_APPLICATION_CREDENTIALS GITHUB_TOKEN GITHUB_ACTIONS
      DATABASE_URL REDIS_URL API_URL BASE_URL API_KEY SECRET_KEY TOKEN LOG_FILE LOG_DIR OTEL_SERVICE_NAME
      OTEL_EXPORTER_OTLP_ENDPOINT VAULT_ADDR VAULT_TOKEN DOCKER_HOST COMPOSE_PROJECT_NAME LD_LIBRARY_PATH
      LESSOPEN LS_COLORS HISTSIZE WORKDIR APP_ENV RAILS_ENV PYTHONPATH JAVA_HOME GOPATH UV_THREADPOOL_SIZE`.split(
        /\s+/,
      )
    assert.ok(names.length > 100)
    const env = Object.fromEntries(names.map((name) => [name, '/value']))
    assert.deepEqual(warnings({ ...env, ...MINIMAL }), [])
  })
})

describe('a variable of a route', () => {
  it('that ROUTES does not name has no effect, which is reported', () => {
    assert.deepEqual(warnings({ ROUTE_GLS_PREFIX: '/gls' }), [
      'ROUTE_GLS_PREFIX has no effect: ROUTES does not name a route GLS',
    ])
    assert.deepEqual(warnings({ ...GLS, ROUTE_MY_TOKEN_PREFIX: 'x', ROUTE_MY_CLIENT_SECRET_FILE: '/x' }), [
      'ROUTE_MY_TOKEN_PREFIX has no effect: ROUTES does not name a route MY',
      'ROUTE_MY_CLIENT_SECRET_FILE has no effect: ROUTES does not name a route MY',
    ])
  })

  it('that is misspelled is reported with the nearest name', () => {
    assert.deepEqual(warnings({ ...GLS, ROUTE_GLS_UPSTREM_URL: 'x' }), [
      'ROUTE_GLS_UPSTREM_URL is not a setting: did you mean ROUTE_GLS_UPSTREAM_URL?',
    ])
    assert.deepEqual(warnings({ ...GLS, ROUTE_gls_ALLOW: 'x' }), [
      'ROUTE_gls_ALLOW is not a setting: did you mean ROUTE_GLS_ALLOW?',
    ])
  })

  it('that no route can have is reported', () => {
    assert.deepEqual(warnings({ ...GLS, ROUTE_GLS_REPLAY_BODY_LIMIT: 'x' }), [
      'ROUTE_GLS_REPLAY_BODY_LIMIT is not a setting that a route can have',
    ])
  })

  it('that is set to nothing is not reported', () => {
    assert.deepEqual(warnings({ ROUTE_GLS_PREFIX: '' }), [])
  })
})
