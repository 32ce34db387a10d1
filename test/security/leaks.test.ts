import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Fault } from '../../sandbox/faults.ts'
import type { Sandbox } from '../../sandbox/server.ts'
import { type Sending, sandboxFor, send } from '../sandbox/client.ts'
import { testTls } from '../sandbox/tls-fixture.ts'
import { eventually } from '../scenarios/setup.ts'
import { FakeKubernetes, NAMESPACE } from '../stores/fake-kubernetes.ts'
import { RawClient } from '../support/raw-client.ts'
import { startRedisServer, skipReason as withoutRedis } from '../support/redis-server.ts'
import { serviceAccountSkip, withServiceAccount } from '../support/service-account.ts'
import { type Program, runProgram, startProgram } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Evidence } from './evidence.ts'
import { type Tap, tapOn } from './tap.ts'

/** Long, and with characters that every encoding writes in its own way. */
const secret = (name: string) => `${name}/${createHash('sha256').update(name).digest('base64')}"&<%41>~`
const CLIENT_SECRETS = { client: secret('client'), other: secret('other-client') }
const CALLER_KEYS = { old: secret('old-key'), next: secret('next-key') }

const tokenFaults: Fault[] = [
  ...(['json', 'html', 'empty'] as const).map(
    (body): Fault => ({ api: 'token', kind: 'status', status: 500, body }),
  ),
  ...[503, 401, 429, 302, 404].map((status): Fault => ({ api: 'token', kind: 'status', status })),
  ...(
    ['empty', 'html', 'no-token', 'errors', 'token-and-errors', 'truncated-json', 'truncated-body'] as const
  ).map((body): Fault => ({ api: 'token', kind: 'garbage', body })),
  { api: 'token', kind: 'reset' },
  { api: 'token', kind: 'lose-answer' },
  { api: 'token', kind: 'hang', mints: true },
  { api: 'token', kind: 'slow', ms: 100 },
  { api: 'token', kind: 'slow-answer', ms: 100 },
  { api: 'token', kind: 'skew', ms: 3_600_000 },
  { api: 'token', kind: 'foreign-mint' },
  { api: 'token', kind: 'refuse' },
]

const businessFaults: Fault[] = [
  { api: 'business', kind: 'latency', ms: 50 },
  { api: 'business', kind: 'check-at-end' },
  { api: 'business', kind: 'status', status: 500 },
  { api: 'business', kind: 'status', status: 302 },
  { api: 'business', kind: 'reset' },
  { api: 'business', kind: 'reject' },
  { api: 'business', kind: 'refuse' },
]

/** A sidecar whose every wire is tapped. */
interface Scene {
  readonly evidence: Evidence
  readonly sandbox: Sandbox
  readonly program: Program
  readonly callers: Tap
  readonly ops: Tap
  /** Where it keeps tokens, if in files. */
  readonly folder: string
  call(path: string, sending?: Sending): Promise<void>
  ask(path: string, sending?: Sending): Promise<void>
}

async function scene(
  t: TestContext,
  format: 'json' | 'pretty',
  more: Record<string, string>,
  prefix: readonly string[] = [],
): Promise<Scene> {
  const evidence = new Evidence()
  const note = (where: string) => (bytes: Buffer | string) => evidence.add(where, bytes)
  const sandbox = await sandboxFor(t, {
    clients: [
      { name: 'client', secret: CLIENT_SECRETS.client },
      { name: 'other', secret: CLIENT_SECRETS.other },
    ],
    tokenPort: 0,
    quotaPerDay: 100_000,
  })
  const portOf = (url: string) => Number(new URL(url).port)
  const api = await tapOn(t, portOf(sandbox.url), note('to the business API'), () => {})
  const token = await tapOn(t, portOf(sandbox.tokenUrl), note('to the token API'), note('minted'))
  const folder = tempDir()
  writeFileSync(join(folder, 'bug.cjs'), BUG)
  let started: ((urls: string[]) => void) | undefined
  const listening = new Promise<string[]>((resolve) => {
    started = resolve
  })
  const env = {
    CLIENT_SECRET: CLIENT_SECRETS.client,
    ROUTES: 'gls',
    ROUTE_GLS_PREFIX: '/gls',
    ROUTE_GLS_CLIENT_SECRET: CLIENT_SECRETS.other,
    CALLER_KEY: `${CALLER_KEYS.old},${CALLER_KEYS.next}`,
    UPSTREAM_URL: api.url,
    TOKEN_URL: token.url + new URL(sandbox.tokenUrl).pathname,
    TOKEN_STORE: `file:${folder}/state/tokens.json`,
    LISTEN: '127.0.0.1:0',
    OPS_LISTEN: '127.0.0.1:0',
    LOG_LEVEL: 'debug',
    LOG_FORMAT: format,
    ACCESS_LOG: 'all',
    HOLD_TIMEOUT: '500ms',
    ROTATION_HOLD: '100ms',
    MINT_TIMEOUT: '1s',
    MINT_QUARANTINE: '0s',
    MINT_MIN_INTERVAL: '100ms',
    MINT_DAILY_BUDGET: '100000',
    UPSTREAM_CONNECT_TIMEOUT: '500ms',
    UPSTREAM_TIMEOUT: '700ms',
    SHUTDOWN_TIMEOUT: '1s',
    /** What the errors of the second bug hold. */
    INNER: CLIENT_SECRETS.client,
    NODE_OPTIONS: `--require=${folder}/bug.cjs`,
    ...more,
  }
  const onLine = (line: string) => {
    evidence.add('standard output', `${line}\n`)
    const urls = /started.*listen\W+(http:[\w/:.]+).*ops\W+(http:[\w/:.]+)/.exec(line)
    if (urls !== null) started?.(urls.slice(1))
  }
  const program = startProgram(t, ['serve'], env, onLine, prefix)
  const [url = '', opsUrl = ''] = await Promise.race([
    listening,
    program.ended.then(() => assert.fail(program.stdout() + program.stderr())),
  ])
  await eventually('readiness', async () => (await send(`${opsUrl}/readyz`)).status === 200)
  const callers = await tapOn(t, portOf(url), () => {}, note('answers to callers'))
  const ops = await tapOn(t, portOf(opsUrl), () => {}, note('answers of the ops address'))
  // Somebody watches the status page all the time.
  const watcher = await RawClient.connect({ port: ops.port })
  watcher.socket.on('error', nothing)
  watcher.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await watcher.reader.until('data:')
  watcher.socket.resume()
  const tried = (promise: Promise<unknown>) => promise.then(nothing, nothing)
  const patience = () => AbortSignal.timeout(5_000)
  return {
    evidence,
    sandbox,
    program,
    callers,
    ops,
    folder,
    call: (path, { headers, ...sending } = {}) =>
      tried(
        send(callers.url + path, {
          headers: { 'x-sidecar-key': CALLER_KEYS.old, ...headers },
          signal: patience(),
          ...sending,
        }),
      ),
    ask: (path, sending) => tried(send(ops.url + path, { signal: patience(), ...sending })),
  }
}

function nothing(): void {}

/** Bugs that a signal brings about: no socket can be written any more; nobody catches an error with a secret in it. */
const BUG = `
process.on('SIGUSR2', () => {
  const { Socket } = require('node:net')
  const write = Socket.prototype.write
  Socket.prototype.write = function (...args) {
    if (this === process.stdout || this === process.stderr) return write.apply(this, args)
    throw new TypeError('injected')
  }
})
process.on('SIGHUP', () => setImmediate(() => {
  throw Object.assign(new Error('injected'), { request: process.env.INNER, cause: new Error(process.env.INNER) })
}))
`

const MARK = { 'x-sidecar-request': '1' }

async function useEveryEndpoint({ call, ask, callers }: Scene): Promise<void> {
  for (const prefix of ['', '/gls']) {
    for (const path of [
      '/echo?a=b',
      '/reflect-token',
      '/reflect-token?as=text&chunked=1',
      '/status/404',
      '/slow?ms=900',
    ]) {
      await call(prefix + path)
    }
    await call(`${prefix}/echo`, { method: 'POST', body: 'x'.repeat(100_000) })
    await call(`${prefix}/einv/v2/eInvoice/generate`, { method: 'PUT', body: '[{}]' })
    await call(`${prefix}/integration/v1/authz/token`)
  }
  await call('/echo', { headers: { 'x-sidecar-key': `${CALLER_KEYS.next}x` } })
  await call('/echo', {
    headers: { 'x-sidecar-key': CALLER_KEYS.next, 'x-clear-client-secret': CLIENT_SECRETS.client },
  })
  await call('/echo', { headers: { host: 'evil.example' } })
  await call('/echo', { method: 'TRACE' })
  const key = `X-Sidecar-Key: ${CALLER_KEYS.old}`
  for (const bytes of [
    `GET /echo HTTP/1.1\r\nHost: localhost\r\n${key}\r\n${'X-A: b\r\n'.repeat(3_000)}\r\n`,
    `GET /echo HTTP/1.1\r\nHost: localhost\r\n${key}\r\nX-A : b\r\n\r\n`,
    `GET http://${CALLER_KEYS.old}@localhost/ HTTP/1.1\r\nHost: localhost\r\n${key}\r\n\r\n`,
    `POST /echo HTTP/1.1\r\nHost: localhost\r\n${key}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `GET /echo HTTP/1.1\r\nHost: localhost\r\n${key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `GET /reflect-token HTTP/1.0\r\n${key}\r\n\r\n`,
  ]) {
    const client = await RawClient.connect({ port: callers.port })
    client.socket.on('error', nothing)
    client.write(bytes)
    await client.answer().then(nothing, nothing)
    client.destroy()
  }
  for (const path of [
    '/',
    '/livez',
    '/startupz',
    '/readyz',
    '/status',
    '/metrics',
    '/events?only=HEAD',
    '/nothing',
    '/rotate',
    '/%',
  ])
    await ask(path, path.includes('HEAD') ? { method: 'HEAD' } : {})
  await ask('/events', { headers: { 'sec-fetch-site': 'cross-site' } })
  await ask('/status', { headers: { host: 'evil.example' } })
  for (const body of ['{', '[]', '{"credential":"nobody"}', '{"credential":"gls"}']) {
    const headers = { ...MARK, 'content-type': 'application/json' }
    await ask('/rotate', { method: 'POST', headers, body })
  }
  await ask('/rotate', { method: 'POST' })
  await ask('/quit', { method: 'POST' })
}

async function meetFaults({ sandbox, call, ask }: Scene, faults: readonly Fault[]): Promise<void> {
  for (const fault of faults) {
    sandbox.faults.add(fault)
    // The answer comes when a retry has succeeded; the first attempt is what counts here.
    const signal = AbortSignal.timeout(500)
    await Promise.all([
      ask('/rotate?credential=default', { method: 'POST', headers: MARK, signal }),
      call('/reflect-token'),
      call('/gls/echo'),
      call('/echo', { method: 'POST', body: 'a' }),
    ])
    await Promise.all([ask('/status'), ask('/readyz'), ask('/')])
    await sandbox.faults.clear()
  }
  // A token that somebody else's mint revoked, twice, with calls under way.
  for (const client of ['client', 'other', 'client']) {
    sandbox.foreignMint(client)
    await Promise.all([call('/echo'), call('/gls/reflect-token'), call('/reflect-token')])
  }
}

/** Each command says something about a sidecar like this one. */
async function runEveryCommand(t: TestContext, { evidence, ops, folder }: Scene): Promise<void> {
  const running = { OPS_LISTEN: new URL(ops.url).host }
  const configured = {
    CLIENT_SECRET: CLIENT_SECRETS.client,
    UPSTREAM_URL: 'http://127.0.0.1:1',
    TOKEN_STORE: `file:${folder}/state/tokens.json`,
  }
  const misplaced = {
    CLIENT_SECRET: `${CLIENT_SECRETS.client} with a blank`,
    CLIENT_SECRETS: CLIENT_SECRETS.other,
    UPSTREAM_URL: CLIENT_SECRETS.client,
    TOKEN_HEADER: CALLER_KEYS.old,
    LISTEN: CALLER_KEYS.next,
    CALLER_KEY: `${CALLER_KEYS.old},${CALLER_KEYS.next},third`,
    TOKEN_STORE: `redis://:${encodeURIComponent(CLIENT_SECRETS.other)}@[host`,
    CLIENT_SECRET_FILE: CLIENT_SECRETS.client,
  }
  const runs: [args: string[], env: Record<string, string>][] = [
    [['status'], running],
    [['status', '--json'], running],
    [['rotate'], running],
    [['wait', '--timeout', '100ms'], running],
    [['check'], configured],
    [['check'], misplaced],
    [['serve'], misplaced],
    [['--help'], configured],
    [['--version'], configured],
    [['completion', 'bash'], configured],
    [['check', '--json'], configured],
    [[`--client-secret=${CLIENT_SECRETS.client}`], configured],
    [[CLIENT_SECRETS.client], configured],
  ]
  for (const [args, env] of runs) {
    const { stdout, stderr } = await runProgram(t, args, env)
    evidence.add('output of commands', stdout + stderr)
  }
}

/** All files below a folder, as evidence. */
function collect(evidence: Evidence, where: string, folder: string): void {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) collect(evidence, where, path)
    else evidence.add(where, Buffer.concat([Buffer.from(entry.name), readFileSync(path)]))
  }
}

/** Every token that the token API gave out on the wire. */
function tokensIn(minted: string): Record<string, string> {
  const found = new Set(
    [...minted.matchAll(/"access[_-]token":"([\w.-]+)/g)].map(([, token]) => token as string),
  )
  return Object.fromEntries([...found].map((token, at) => [`token ${at + 1}`, token]))
}

function assertNothingLeaked(t: TestContext, { evidence }: Scene): void {
  const secrets = { ...prefixed('secret', CLIENT_SECRETS), ...prefixed('key', CALLER_KEYS) }
  const tokens = tokensIn(evidence.text('minted'))
  const { minted: _, 'to the business API': business, 'to the token API': token, ...rest } = evidence.sizes
  t.diagnostic(`${Object.keys(tokens).length} tokens; bytes searched: ${JSON.stringify(rest)}`)
  assert.ok(Object.keys(tokens).length > 5)
  for (const [where, bytes] of Object.entries({ business, token, ...rest }))
    assert.ok(Number(bytes) > 0, where)
  assert.deepEqual(evidence.leaks({ ...secrets, ...tokens }, Object.keys(rest)), [])
  // Each API is told what it is to be told, and no more.
  assert.deepEqual(evidence.leaks(secrets, ['to the business API']), [])
  assert.deepEqual(evidence.leaks({ ...prefixed('key', CALLER_KEYS), ...tokens }, ['to the token API']), [])
  assert.notDeepEqual(evidence.leaks(prefixed('secret', CLIENT_SECRETS), ['to the token API']), [])
  assert.notDeepEqual(evidence.leaks(tokens, ['to the business API']), [])
}

const prefixed = (prefix: string, values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix} ${name}`, value]))

/** Brings about a bug and looks at what it leaves. */
async function breakIt({ program, call, evidence, folder }: Scene, bug: NodeJS.Signals): Promise<void> {
  program.signal(bug)
  await call('/echo', { method: 'POST', body: 'a' })
  const { code } = await program.ended
  assert.equal(code, 70)
  const said = program.stderr()
  assert.match(said, /^token-sidecar: this is a bug, please report it\n\w+: injected\n +at /m)
  assert.ok(said.length < 4_000, 'no source text')
  evidence.add('standard error', said)
  collect(evidence, 'files', join(folder, 'state'))
}

describe('no secret, key or token', { concurrency: 2 }, () => {
  it('leaves a sidecar with a token file, whatever it meets and however it ends', async (t) => {
    const at = await scene(t, 'json', {})
    await useEveryEndpoint(at)
    await Promise.all([meetFaults(at, [...tokenFaults, ...businessFaults]), runEveryCommand(t, at)])
    writeFileSync(join(at.folder, 'state/tokens.json'), '{"damaged')
    await at.ask('/rotate?credential=default', { method: 'POST', headers: MARK })
    await eventually('the damaged file is kept aside', () =>
      existsSync(join(at.folder, 'state/tokens.json.unreadable')),
    )
    await useEveryEndpoint(at)
    await breakIt(at, 'SIGHUP')
    assertNothingLeaked(t, at)
  })

  it('leaves a sidecar that shares its tokens through Redis', { skip: withoutRedis }, async (t) => {
    const redis = await startRedisServer(t)
    const wire: Buffer[] = []
    const keep = (bytes: Buffer) => void wire.push(bytes)
    const tap = await tapOn(t, redis.port, keep, keep)
    const at = await scene(t, 'pretty', { TOKEN_STORE: `redis://127.0.0.1:${tap.port}` })
    await useEveryEndpoint(at)
    await meetFaults(at, [...tokenFaults.slice(-3), ...businessFaults.slice(-3)])
    redis.freeze()
    await useEveryEndpoint(at)
    redis.thaw()
    await breakIt(at, 'SIGUSR2')
    at.evidence.add('Redis', Buffer.concat(wire))
    assertNothingLeaked(t, at)
  })

  it('leaves a sidecar that shares its tokens through a Kubernetes Secret', {
    skip: serviceAccountSkip,
  }, async (t) => {
    const requests: string[] = []
    const fake = await FakeKubernetes.start(t, {
      tls: testTls,
      onRequest: (text) => void requests.push(text),
    })
    const token = secret('service-account').replace(/\W/g, '')
    fake.issue(token)
    const account = { 'ca.crt': testTls.cert, token, namespace: NAMESPACE }
    const at = await scene(
      t,
      'json',
      {
        TOKEN_STORE: 'kubernetes:',
        KUBERNETES_SERVICE_HOST: fake.url.hostname,
        KUBERNETES_SERVICE_PORT: fake.url.port,
      },
      withServiceAccount(account),
    )
    await useEveryEndpoint(at)
    await meetFaults(at, [...tokenFaults.slice(-3), ...businessFaults.slice(-3)])
    for (const fault of [{ status: 403 }, { kind: 'garbage' }, { kind: 'lose-answer' }] as const) {
      fake.fail({ ...fault, count: 3 })
      await useEveryEndpoint(at)
      fake.heal()
    }
    await breakIt(at, 'SIGHUP')
    at.evidence.add('requests to Kubernetes', requests.join(''))
    at.evidence.add('the Secret', JSON.stringify(fake.entries))
    assertNothingLeaked(t, at)
    assert.deepEqual(at.evidence.leaks({ 'service account': token }), [])
  })

  it('would be found if it did: a token that is not masked', async (t) => {
    const at = await scene(t, 'json', { MASK_TOKEN: 'false' })
    await at.call('/reflect-token')
    const leaks = at.evidence.leaks(tokensIn(at.evidence.text('minted')), ['answers to callers'])
    assert.match(leaks.join('\n'), /token \d+ as plain text in answers to callers/)
  })
})
