import assert from 'node:assert/strict'
import { ConfigError } from '../../config/config-error.ts'
import { loadConfig } from '../../config/load.ts'
import { rows } from '../../config/variables.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { cronTicker } from '../../proxy/lib/ticker.ts'
import { createAdmission } from '../../proxy/relay/admission.ts'
import { CredentialLine } from '../../proxy/relay/request-head.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { fc } from '../support/fast-check.ts'
import { heldToken, ScriptedTokens } from '../support/token-source.ts'
import { type Mutation, mutated, mutations } from './mutations.ts'
import { fuzzer } from './target.ts'

type Environment = Readonly<Record<string, string>>

interface Input {
  /** Variables that differ from the least that is needed. */
  readonly variables: readonly (readonly [name: string, value: string, changes: readonly Mutation[]])[]
  /** What every file holds that is asked for; null: there is none. */
  readonly file: string | null
}

const SECRET = 'Zq7-the-client-secret-Zq7'
const LEAST: Environment = { CLIENT_SECRET: SECRET, UPSTREAM_URL: 'https://api.clear.in' }

/** Processor time. Reading a configuration takes a millisecond; an expression that backtracks takes minutes. */
const PATIENCE_US = 1_000_000

const suffixes = rows.map(([name]) => name.replace(/^ROUTE_N_/, ''))
const names = fc.oneof(
  fc.constantFrom(...rows.map(([name]) => name)),
  fc.constantFrom(...suffixes.flatMap((suffix) => [`ROUTE_A_${suffix}`, `ROUTE_A_B_${suffix}`])),
  fc.constantFrom(...suffixes.map((suffix) => `${suffix}_FILE`)),
  fc.constantFrom(
    'UPSTREM_URL',
    'MAX_CONNECTION',
    'XDG_STATE_HOME',
    'KUBERNETES_SERVICE_HOST',
    'KUBERNETES_SERVICE_PORT',
    'ROUTE_',
    'ROUTE__PREFIX',
    '__proto__',
    'constructor',
  ),
)
/** Good for one variable or another; what is good for one is bad for the next. */
const values = fc.constantFrom(
  '',
  ' ',
  SECRET,
  `x${SECRET}`,
  'a-b, a',
  'A,B',
  'a,a_b',
  '/a',
  '/a/b',
  '/',
  'true',
  '401,403',
  '250ms',
  '0s',
  '576h',
  '0',
  '64KiB',
  '1MiB',
  '1024',
  'json',
  'debug',
  'errors',
  'Bearer ',
  'x-clear-auth-token',
  'GET /einv/**, * /a/*/b',
  '127.0.0.1:8080',
  '0.0.0.0:0',
  '[::1]:9464',
  'unix:/run/a.sock',
  'localhost,[::1],a.example',
  'https://u:p@api.clear.in:8443/base/path?q#f',
  'http://[::1]:8080/x/',
  'https://xn--e1afmkfd.example',
  'http://0x7f.1',
  'memory:',
  'file:/var/lib/t.json',
  'file:',
  'redis://u:p%40@host:6379/3',
  'rediss://host',
  'redis-sentinel://p@a:26379,b/main/2',
  'kubernetes:ns/name',
  '0 3 * * *',
  '*/7 1-5,9 * jan,mar mon#1',
  '* * * * * *',
  '9'.repeat(400),
  'a,'.repeat(300),
  '/a'.repeat(300),
  `${'a-'.repeat(200)}!`,
  '1-'.repeat(200),
)
const inputs: fc.Arbitrary<Input> = fc.record({
  variables: fc.array(
    fc.tuple(
      names,
      fc.oneof({ weight: 4, arbitrary: values }, fc.string({ unit: 'binary', maxLength: 40 })),
      fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, mutations(3, 60)),
    ),
    { maxLength: 12 },
  ),
  file: fc.option(fc.constantFrom('', SECRET, `${SECRET}\n`, 'a\nb', '\0', '-----BEGIN CERTIFICATE-----\n')),
})

function run({ variables, file }: Input): void {
  const env = environment(variables)
  const began = process.cpuUsage()
  let failed: ConfigError | null = null
  try {
    use(loadConfig({ env, readFile: () => content(file), homeDir: '/home/app' }).config)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    failed = error
  }
  assert.ok(process.cpuUsage(began).user < PATIENCE_US, 'reading the configuration took too long')
  if (failed === null) return
  assert.ok(failed.problems.length > 0)
  if (env['CLIENT_SECRET']?.trim() !== SECRET) return
  assert.ok(!failed.message.includes(SECRET), `the secret is in: ${failed.message}`)
}

function environment(variables: Input['variables']): Environment {
  const changed = variables.map(([name, value, changes]) => [name, mutated(value, changes)] as const)
  return Object.fromEntries([...Object.entries(LEAST), ...changed])
}

function content(file: string | null): string {
  if (file === null) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  return file
}

/** What the process makes of a configuration that was accepted: none of it may fail on a value in it. */
function use(config: ReturnType<typeof loadConfig>['config']): void {
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.routes))
  const token = heldToken('token')
  const routes = config.routes.map((route) => ({ ...route, tokens: new ScriptedTokens(token) }))
  const tokenPaths = config.credentials.map(({ tokenUrl }) => tokenUrl.pathname)
  const admission = createAdmission({ ...config, routes, tokenPaths })
  for (const route of routes) {
    assert.ok(config.credentials.some(({ name }) => name === route.credential))
    assert.match(new CredentialLine(route).with(token), /^[^\r\n]+\r\n\r\n$/)
    const head = { target: `${route.prefix}/x`, host: config.allowedHosts[0] ?? 'x', hostCount: 1 }
    admission({ method: 'GET', origin: null, secFetchSite: null, callerKey: null, ...head })
  }
  const own = { callerKey: null, origin: null, secFetchSite: null, host: null, hostCount: 0, http10: true }
  for (const path of tokenPaths) {
    const admitted = admission({ method: 'GET', target: path, ...own })
    assert.equal(typeof admitted, 'string', `${path} of a token API would be forwarded`)
  }
  for (const { secret, tokenUrl } of config.credentials) createSealer(new Secret(secret.reveal()), tokenUrl)
  if (config.token.rotateSchedule !== null) cronTicker.at(config.token.rotateSchedule, () => {})()
}

export const configuration = fuzzer<Input>({
  name: 'configuration',
  inputs,
  // No field's value begins with a space, so no call could have been sent.
  regressions: [{ variables: [['TOKEN_PREFIX', ' ', []]], file: null }],
  testRuns: 1_000,
  run,
})
