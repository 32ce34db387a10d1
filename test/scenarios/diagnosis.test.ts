import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { adviceFor } from '../../proxy/lib/advice.ts'
import type { Fault } from '../../sandbox/faults.ts'
import { sandboxFor, send } from '../sandbox/client.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { runProgram } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'
import { eventually, opsOf, settingsFor } from './setup.ts'

/** Every fault of the token API that makes a mint fail, and the code it is told under. */
const tokenFaults: readonly (readonly [code: string, fault: Record<string, unknown>])[] = [
  ['mint_unreachable', { kind: 'refuse' }],
  ['mint_secret_rejected', { kind: 'status', status: 401 }],
  ['mint_quota_exhausted', { kind: 'status', status: 429 }],
  ['mint_status', { kind: 'status', status: 500 }],
  ['mint_status', { kind: 'status', status: 404, body: 'html' }],
  ['mint_status', { kind: 'status', status: 302, body: 'empty' }],
  ['mint_reset', { kind: 'reset' }],
  ['mint_reset', { kind: 'lose-answer' }],
  ['mint_reset', { kind: 'garbage', body: 'truncated-body' }],
  ['mint_timeout', { kind: 'hang', mints: false }],
  ['mint_timeout', { kind: 'slow', ms: 60_000 }],
  ['mint_timeout', { kind: 'slow-answer', ms: 60_000 }],
  ...['empty', 'html', 'no-token', 'errors', 'token-and-errors', 'truncated-json'].map(
    (body) => ['mint_garbage', { kind: 'garbage', body }] as const,
  ),
]

/** What the caller is told when no token is left because of it. */
const answersFor: Readonly<Record<string, string>> = {
  mint_secret_rejected: 'secret_rejected',
  mint_quota_exhausted: 'mint_budget_exhausted',
}

describe('a failing token API', { concurrency: 2 }, () => {
  for (const [code, fault] of tokenFaults) {
    it(`is explained as ${code} by log, status and answer: ${JSON.stringify(fault)}`, async (test) => {
      const sandbox = await sandboxFor(test, { tokenPort: 0 })
      sandbox.faults.add({ api: 'token', ...fault } as Fault)
      // Short where it is waited for; elsewhere a busy machine must not make one fault look like another.
      const mintTimeout = code === 'mint_timeout' ? '800ms' : '15s'
      const quick = { HOLD_TIMEOUT: '1500ms', MINT_TIMEOUT: mintTimeout, MINT_QUARANTINE: '100ms' }
      const sidecar = await startSidecar(test, settingsFor(sandbox, { ...quick, TOKEN_STORE: 'memory:' }))
      // The first attempt may meet a port that is about to be shut.
      const line = await sidecar.logged('mint_failed', (told) => told['code'] === code)
      assert.equal(line['help'], `docs/operations.md#${code}`)
      assert.deepEqual(line['causes'], line.level === 'error' ? adviceFor(code)?.causes : undefined)
      assert.equal(line['local_address'], code === 'mint_secret_rejected' ? '127.0.0.1' : undefined)

      const answer = await send(`${sidecar.url}/echo`, { headers: { 'x-request-id': 'mine' } })
      const expected = answersFor[code] ?? 'token_unavailable'
      assert.equal(answer.json().code, expected)
      assert.equal(answer.json().type, `urn:token-sidecar:problem:${expected}`)
      assert.equal(answer.json().help, `docs/operations.md#${expected}`)
      assert.deepEqual(answer.json().causes, adviceFor(expected)?.causes)
      assert.equal(answer.headers['x-request-id'], 'mine')
      const call = await sidecar.logged('call')
      assert.deepEqual(
        [call['code'], call['request_id'], call['help']],
        [expected, 'mine', answer.json().help],
      )

      const status = await runProgram(test, ['status'], opsOf(sidecar))
      assert.match(status.stdout, new RegExp(`docs/operations\\.md#${code}$`, 'm'))
      assert.match(status.stdout, /^ {2}→ \S/m)
    })
  }
})

describe('other trouble', { concurrency: 2 }, () => {
  it('somebody else’s mint names who may hold the secret', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    await send(`${sandbox.controlUrl}foreign-mint`, { method: 'POST', body: '{"client":"demo"}' })
    assert.equal((await send(`${sidecar.url}/echo`)).status, 200)
    const line = await sidecar.logged('foreign_mint')
    assert.equal(line['help'], 'docs/operations.md#foreign_mint')
    assert.match(JSON.stringify(line['causes']), /another deployment.*TOKEN_STORE.*curl/)
  })

  it('a clock that differs', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'skew', ms: 60_000 })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    assert.equal((await sidecar.logged('clock_differs'))['help'], 'docs/operations.md#clock_differs')
  })

  it('a business API that is down', async (test) => {
    const sandbox = await sandboxFor(test)
    const dead = settingsFor(sandbox, { UPSTREAM_URL: 'http://127.0.0.1:1' })
    const sidecar = await startSidecar(test, dead)
    await sidecar.ready()
    const answer = await send(`${sidecar.url}/echo`)
    assert.equal(answer.json().code, 'upstream_unreachable')
    assert.match(answer.json().detail, /token-sidecar check/)
    assert.ok(!answer.text.includes('127.0.0.1'), 'no internal address')
    assert.equal((await sidecar.logged('call'))['help'], 'docs/operations.md#upstream_unreachable')
  })

  it('a business API that resets', async (test) => {
    const sandbox = await sandboxFor(test, { tokenPort: 0 })
    sandbox.faults.add({ api: 'business', kind: 'reset' })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const answer = await send(`${sidecar.url}/echo`, { method: 'POST', body: 'x' })
    assert.equal(answer.json().code, 'upstream_unreachable')
    assert.equal((await sidecar.logged('call'))['help'], 'docs/operations.md#upstream_unreachable')
  })

  it('a store that cannot be written says why', async (test) => {
    const sandbox = await sandboxFor(test)
    const blocker = join(tempDir(), 'a-file')
    writeFileSync(blocker, '')
    const sidecar = await startSidecar(test, settingsFor(sandbox, { TOKEN_STORE: `file:${blocker}/t.json` }))
    const line = await sidecar.logged('store_unreachable')
    assert.match(String(line['cause']), /^E[A-Z]+$/)
    assert.equal(line['help'], 'docs/operations.md#store_unreachable')
    const { stdout } = await runProgram(test, ['status'], opsOf(sidecar))
    assert.match(stdout, /docs\/operations\.md#store_unreachable$/m)
  })

  it('a secret file that went bad, and a stranger at the ops address', async (test) => {
    const sandbox = await sandboxFor(test)
    const path = join(tempDir(), 'secret')
    writeFileSync(path, 'demo-secret')
    const sidecar = await startSidecar(test, settingsFor(sandbox, { CLIENT_SECRET_FILE: path }))
    await sidecar.ready()
    writeFileSync(path, 'two words')
    const line = await sidecar.logged('secret_file_invalid')
    assert.equal(line['help'], 'docs/operations.md#secret_file_invalid')
    assert.equal((await sidecar.ask('/rotate', { method: 'POST' })).status, 403)
    const refused = await sidecar.logged('ops_request_refused')
    assert.equal(refused['help'], 'docs/operations.md#ops_request_refused')
  })

  it('a setting that is probably not meant', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox, { UPSTREM_URL: 'x' }))
    const line = await sidecar.logged('config_warning')
    assert.match(String(line['message']), /UPSTREAM_URL/)
    assert.equal(line['help'], 'docs/operations.md#config_warning')
  })

  it('a listener that others could reach says how to open it safely', async (test) => {
    const sandbox = await sandboxFor(test)
    const { code, stderr } = await runProgram(test, [], settingsFor(sandbox, { LISTEN: '0.0.0.0:8080' }))
    assert.equal(code, 78)
    for (const way of [/CALLER_KEY_FILE/, /x-sidecar-key/, /127\.0\.0\.1/, /unix:/]) assert.match(stderr, way)
  })

  it('is over: a good mint leaves nothing to do in status', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'status', status: 500, count: 1 })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.logged('token_minted')
    await eventually('rest', async () => (await sidecar.status()).credentials[0]?.state === 'fresh')
    const { stdout } = await runProgram(test, ['status'], opsOf(sidecar))
    assert.match(stdout, /last error +mint_status/)
    assert.doesNotMatch(stdout, /operations\.md/)
  })
})
