import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type SettingName, settings } from '../../config/settings.ts'
import { Secret } from '../../proxy/lib/secret.ts'

interface Cases {
  /** Text and the value it stands for. */
  readonly good: readonly (readonly [string, unknown])[]
  readonly bad: readonly string[]
}

const durations: Cases = {
  good: [
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['12h', 43_200_000],
    ['576h', 2_073_600_000],
  ],
  bad: [
    '60',
    's',
    '1.5s',
    '-1s',
    '+1s',
    '05s',
    '1d',
    '1 s',
    '1S',
    '1s1s',
    '1e3ms',
    '577h',
    '99999999999999999999h',
    'NaN',
    '٣s',
  ],
}
const positiveDurations: Cases = {
  good: durations.good.filter(([, value]) => value !== 0),
  bad: [...durations.bad, '0s', '0ms'],
}
const paths: Cases = {
  good: [
    ['/etc/tls/ca.crt', '/etc/tls/ca.crt'],
    ['ca.pem', 'ca.pem'],
  ],
  bad: ['/etc/tls/', 'a\0b'],
}
const addresses: Cases = {
  good: [
    ['127.0.0.1:8080', { kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    ['0.0.0.0:0', { kind: 'tcp', host: '0.0.0.0', port: 0 }],
    ['LocalHost:65535', { kind: 'tcp', host: 'localhost', port: 65535 }],
    ['[::1]:8080', { kind: 'tcp', host: '::1', port: 8080 }],
    ['unix:/run/sidecar.sock', { kind: 'unix', path: '/run/sidecar.sock' }],
  ],
  bad: [
    '8080',
    ':8080',
    'localhost',
    'localhost:',
    'localhost:65536',
    'localhost:080',
    'localhost:-1',
    'http://localhost:80',
    '::1:8080',
    '[::1]',
    '[]:80',
    '[localhost]:80',
    '256.0.0.1:80',
    'a..b:80',
    '-a:80',
    'a b:80',
    'unix:',
    'unix:relative.sock',
    'unix:/run/',
    `unix:/${'a'.repeat(103)}`,
  ],
}
const urlsRefused = [
  'api.clear.in',
  'ftp://api.clear.in',
  'https:api.clear.in',
  'https:///path',
  'https://',
  'https://user@api.clear.in',
  'https://user:password@api.clear.in',
  'https://api.clear.in?x=1',
  'https://api.clear.in/?',
  'https://api.clear.in/#top',
  'https://api.clear.in/a/../b',
  'https://api.clear.in/%2E%2e/b',
  'https://api.clear.in\\a',
  'https://api.cle ar.in',
  'https://api.clear.in/\ta',
  'https://api.clear.in:0',
  'https://api.clear.in:99999',
  'https://[::1',
]

const cases: Record<SettingName, Cases> = {
  CLIENT_SECRET: {
    good: [['a!b~c', new Secret('a!b~c')]],
    bad: ['a b', 'a\r\nb', 'a\tb', 'café', 'a\0b'],
  },
  UPSTREAM_URL: {
    good: [
      ['https://api.clear.in', new URL('https://api.clear.in/')],
      ['https://api.clear.in/', new URL('https://api.clear.in/')],
      ['https://api.clear.in/middle-east/ksa//', new URL('https://api.clear.in/middle-east/ksa')],
      ['http://[::1]:8080/a', new URL('http://[::1]:8080/a')],
    ],
    bad: urlsRefused,
  },
  TOKEN_URL: {
    good: [
      ['https://api.clear.in/authz/token', new URL('https://api.clear.in/authz/token')],
      ['https://api.clear.in/authz/token/', new URL('https://api.clear.in/authz/token/')],
    ],
    bad: urlsRefused,
  },
  TOKEN_HEADER: {
    good: [
      ['X-Clear-Auth-Token', 'x-clear-auth-token'],
      ['authorization', 'authorization'],
    ],
    bad: [
      '',
      'a b',
      'a:b',
      'ä',
      'Host',
      'Content-Length',
      'Transfer-Encoding',
      'connection',
      'TE',
      'x-sidecar-key',
      'x-clear-client-secret',
    ],
  },
  TOKEN_PREFIX: {
    good: [
      ['Bearer ', 'Bearer '],
      ['a  b', 'a  b'],
    ],
    bad: [' ', ' Bearer ', 'Bearer\n', 'Bearer\r', 'a\tb', 'é'],
  },
  LISTEN: addresses,
  OPS_LISTEN: addresses,
  CALLER_KEY: {
    good: [
      ['k1', [new Secret('k1')]],
      ['old-key, new-key', [new Secret('old-key'), new Secret('new-key')]],
    ],
    bad: ['a,b,c', 'a,', ',', 'a b', 'a\nb'],
  },
  ALLOWED_HOSTS: {
    good: [
      ['localhost, API.internal,my_service', ['localhost', 'api.internal', 'my_service']],
      ['[::1],[0:0:0:0:0:0:0:1],10.0.0.1', ['[::1]', '10.0.0.1']],
    ],
    bad: ['localhost:8080', '[::1]:80', '::1', 'a,,b', '*', 'http://a', '[::g]', '1.2.3', 'a/b', 'a@b', '.'],
  },
  TOKEN_STORE: {
    good: [
      ['memory:', { kind: 'memory' }],
      ['file:', { kind: 'file', path: null }],
      ['file:/var/lib/tokens.json', { kind: 'file', path: '/var/lib/tokens.json' }],
      ['file:///var/lib/to%20kens.json', { kind: 'file', path: '/var/lib/to%20kens.json' }],
      [
        'redis://cache:6379/2',
        { kind: 'redis', url: new Secret('redis://cache:6379/2'), display: 'redis://cache:6379/2' },
      ],
      [
        'rediss://user:p%40ss@cache',
        { kind: 'redis', url: new Secret('rediss://user:p%40ss@cache'), display: 'rediss://cache' },
      ],
      [
        'rediss-sentinel://u:p@a:26379,b/main/1',
        {
          kind: 'redis',
          url: new Secret('rediss-sentinel://u:p@a:26379,b/main/1'),
          display: 'rediss-sentinel://a:26379,b/main/1',
        },
      ],
      ['kubernetes:', { kind: 'kubernetes', namespace: null, name: 'token-sidecar' }],
      ['kubernetes:apps/clear.token', { kind: 'kubernetes', namespace: 'apps', name: 'clear.token' }],
    ],
    bad: [
      'memory',
      'memory:x',
      'file:relative',
      'file://host/path',
      'file:////path',
      'file:/dir/',
      'redis:',
      'redis://',
      'redis://host:0',
      'redis://host/name',
      'redis://host/0?x=1',
      'redis://:100%@host',
      'redis-sentinel://host:26379',
      'redis-sentinel://a:0,b/main',
      'redis-sentinel://a,,b/main',
      'redis-sentinel://a,b/main/x',
      'redis-sentinel://u:100%@a/main',
      'kubernetes:name',
      'kubernetes:ns/',
      'kubernetes:/name',
      'kubernetes:ns/name/more',
      'kubernetes:NS/name',
      'kubernetes:ns/name.',
      'postgres://host',
      '/path',
    ],
  },
  REFRESH_LEAD: durations,
  ROTATE_SCHEDULE: {
    good: [
      ['0 3 * * *', '0 3 * * *'],
      ['30 0 3 * * mon-fri', '30 0 3 * * mon-fri'],
    ],
    bad: ['daily', '* * *', '60 * * * *', '0 3 31 2 *', '12h'],
  },
  HOLD_TIMEOUT: durations,
  ROTATION_HOLD: durations,
  MINT_TIMEOUT: positiveDurations,
  MINT_QUARANTINE: durations,
  MINT_MIN_INTERVAL: durations,
  MINT_DAILY_BUDGET: {
    good: [
      ['1', 1],
      ['288', 288],
    ],
    bad: ['0', '-1', '1.0', '0x10', '1e2', '100001', 'all', '007', '1_000'],
  },
  REJECTED_STATUS: {
    good: [
      ['401', [401]],
      ['401, 403,401', [401, 403]],
    ],
    bad: ['200', '399', '600', '401,', '401;403', '4xx', '401 403'],
  },
  ALLOW: {
    good: [
      ['GET /einv/**', [{ method: 'GET', path: '/einv/**' }]],
      [
        '* /a/*/c, post /,GET /**',
        [
          { method: '*', path: '/a/*/c' },
          { method: 'POST', path: '/' },
          { method: 'GET', path: '/**' },
        ],
      ],
    ],
    bad: [
      '/einv/**',
      'GET',
      'GET einv',
      'GET /a/**/b',
      'GET /a*',
      'GET /a/b**',
      'GET /a?x',
      'GET /a/../b',
      'GET //a',
      'GET /a,',
      'G=T /a',
      'GET /é',
      'GET /a GET /b',
    ],
  },
  MASK_TOKEN: {
    good: [
      ['true', true],
      ['false', false],
    ],
    bad: ['True', '1', '0', 'yes', 'off'],
  },
  UPSTREAM_CONNECT_TIMEOUT: positiveDurations,
  UPSTREAM_TIMEOUT: positiveDurations,
  UPSTREAM_CA_FILE: paths,
  UPSTREAM_CERT_FILE: paths,
  UPSTREAM_KEY_FILE: paths,
  REPLAY_BODY_LIMIT: {
    good: [
      ['0', 0],
      ['65536', 65_536],
      ['64KiB', 65_536],
      ['1MiB', 1_048_576],
      ['1GiB', 1_073_741_824],
    ],
    bad: ['1MB', '64k', '1.5MiB', '-1', '1 MiB', '1mib', 'MiB', '2GiB', '1e3'],
  },
  REPLAY_MEMORY_LIMIT: { good: [['64GiB', 2 ** 36]], bad: ['65GiB', 'half'] },
  MAX_CONNECTIONS: { good: [['1024', 1024]], bad: ['0', '1000001', 'many'] },
  MAX_HEADER_BYTES: { good: [['16KiB', 16_384]], bad: ['1023', '2MiB', '16K'] },
  SHUTDOWN_TIMEOUT: durations,
  LOG_LEVEL: { good: [['debug', 'debug']], bad: ['Info', 'trace', 'verbose'] },
  LOG_FORMAT: { good: [['pretty', 'pretty']], bad: ['text', 'JSON'] },
  ACCESS_LOG: { good: [['all', 'all']], bad: ['true', 'none'] },
  ROUTES: {
    good: [['gls, my_2', ['gls', 'my_2']]],
    bad: ['gls,GLS', '2nd', 'a-b', 'a,,b', 'default', 'Default', 'a b', '_a'],
  },
  ROUTE_N_PREFIX: {
    good: [
      ['/gls', '/gls'],
      ['/gls/', '/gls'],
      ['/a/b-c.d', '/a/b-c.d'],
    ],
    bad: ['/', 'gls', '//', '/a//b', '/a/../b', '/.', '/a b', '/%67ls', '/*', '/a?b'],
  },
}

for (const [name, { good, bad }] of Object.entries(cases)) {
  const { parse } = settings[name as SettingName]
  describe(name, () => {
    for (const [text, value] of good) {
      it(`reads ${JSON.stringify(text)}`, () => {
        const parsed = parse(text)
        assert.deepEqual(revealed(parsed), revealed({ value }))
      })
    }
    for (const text of bad) {
      it(`refuses ${JSON.stringify(text).slice(0, 60)} with a sentence`, () => {
        const parsed = parse(text)
        assert.ok('problem' in parsed, `read as ${JSON.stringify(parsed)}`)
        assert.match(parsed.problem, /^(must|has|cannot) /)
      })
    }
  })
}

/** Secrets and URLs as text, since neither has its value in a property that can be compared. */
function revealed(value: unknown): unknown {
  if (value instanceof Secret) return `secret ${value.reveal()}`
  if (value instanceof URL) return `url ${value.href}`
  if (Array.isArray(value)) return value.map(revealed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, revealed(part)]))
}
