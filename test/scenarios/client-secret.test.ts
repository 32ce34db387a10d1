import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { sandboxFor, send } from '../sandbox/client.ts'
import { makeCalls } from '../support/load.ts'
import { assertAllWell, failuresOf, startRecordedLoad } from '../support/load-record.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { runProgram } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'
import {
  assertOneAtATime,
  assertTokenRequests,
  eventually,
  opsOf,
  settingsFor,
  tokenRequests,
} from './setup.ts'

describe('the client secret', { concurrency: 2 }, () => {
  it('is reported and not hammered when it is rejected, and heals by its file alone', async (test) => {
    const sandbox = await sandboxFor(test)
    const CLIENT_SECRET_FILE = secretFile('mistyped-secret')
    const settings = settingsFor(sandbox, { CLIENT_SECRET_FILE })
    const sidecar = await startSidecar(test, settings)
    await sidecar.logged('mint_failed', ({ code }) => code === 'mint_secret_rejected')

    const refused = await send(`${sidecar.url}/echo`)
    assert.equal(refused.status, 503)
    assert.equal(refused.json().code, 'secret_rejected')
    assert.ok(Number(refused.headers['retry-after']) >= 1)
    assert.match(String(refused.headers['proxy-status']), /^token-sidecar; error=/)
    assert.deepEqual(failuresOf(await makeCalls(sidecar.url, 50)), { 'status 503 secret_rejected': 50 })
    const readiness = await sidecar.ask('/readyz')
    assert.equal(readiness.status, 503)
    assert.match(readiness.json().reason, /rejected, last error mint_secret_rejected/)
    const waited = await runProgram(test, ['wait', '--timeout', '3s'], opsOf(sidecar))
    assert.equal(waited.code, 69)
    assert.match(waited.stderr, /mint_secret_rejected/)
    assert.equal(tokenRequests(sandbox, null).length, 1, 'one request was enough to know')

    writeFileSync(CLIENT_SECRET_FILE, 'demo-secret\n')
    await sidecar.logged('secret_changed')
    await sidecar.ready()
    assertAllWell(await makeCalls(sidecar.url, 10))
    assert.equal(tokenRequests(sandbox, null).length, 1)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('is replaced in its file without failing a call', async (test) => {
    const clients = [
      { name: 'old', secret: 'old-secret' },
      { name: 'new', secret: 'new-secret' },
    ]
    const sandbox = await sandboxFor(test, { clients })
    const CLIENT_SECRET_FILE = secretFile('old-secret')
    const sidecar = await startSidecar(test, settingsFor(sandbox, { CLIENT_SECRET_FILE }))
    await sidecar.ready()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 10 })
    await load.more(50)
    writeFileSync(CLIENT_SECRET_FILE, 'new-secret')
    await sidecar.logged('token_minted', ({ reason }) => reason === 'secret_changed')
    await load.more(50)
    await load.stop()

    assertAllWell(load.outcomes)
    assert.equal(tokenRequests(sandbox, 'old').length, 1)
    assert.equal(tokenRequests(sandbox, 'new').length, 1)
    assertOneAtATime(sandbox)
    const [credential] = (await sidecar.status()).credentials
    assert.equal(credential?.fingerprint, sandbox.issuer.clients()[1]?.liveFingerprint)
  })

  it('of a route is told apart from an equal one as soon as its file changes, and shares a token with it before and after', async (test) => {
    const secrets = ['first-secret', 'second-secret', 'third-secret']
    const clients = secrets.map((secret) => ({ name: secret, secret }))
    const sandbox = await sandboxFor(test, { clients })
    const files = [secretFile('first-secret'), secretFile('first-secret')] as const
    const sidecar = await startSidecar(
      test,
      settingsFor(sandbox, {
        CLIENT_SECRET_FILE: files[0],
        ROUTES: 'b',
        ROUTE_B_PREFIX: '/b',
        ROUTE_B_CLIENT_SECRET_FILE: files[1],
      }),
    )
    const fingerprints = async () =>
      (await sidecar.status()).credentials.map(({ fingerprint }) => fingerprint ?? '')
    const use = (...used: string[]) =>
      eventually(`the tokens of ${used}`, async () => {
        const live = used.map((name) => sandbox.issuer.clients().find((client) => client.name === name))
        return `${await fingerprints()}` === `${live.map((client) => client?.liveFingerprint)}`
      })
    await sidecar.ready()
    await use('first-secret', 'first-secret')
    writeFileSync(files[1], 'second-secret')
    await use('first-secret', 'second-secret')
    for (const file of files) writeFileSync(file, 'third-secret')
    await use('third-secret', 'third-secret')
    for (const path of ['/echo', '/b/echo']) assert.equal((await send(`${sidecar.url}${path}`)).status, 200)
    for (const secret of secrets) assert.equal(tokenRequests(sandbox, secret).length, 1, secret)
    assertOneAtATime(sandbox)
  })

  it('goes on serving the living token when the file holds what can be no secret', async (test) => {
    const sandbox = await sandboxFor(test)
    const CLIENT_SECRET_FILE = secretFile('demo-secret')
    const sidecar = await startSidecar(test, settingsFor(sandbox, { CLIENT_SECRET_FILE }))
    await sidecar.ready()
    writeFileSync(CLIENT_SECRET_FILE, 'two words')
    await sidecar.logged('secret_file_invalid')
    assertAllWell(await makeCalls(sidecar.url, 5))
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('and tokens appear in no log line and no document of the ops address', async (test) => {
    const sandbox = await sandboxFor(test)
    const settings = settingsFor(sandbox, { LOG_LEVEL: 'debug', ACCESS_LOG: 'all', MASK_TOKEN: 'false' })
    const sidecar = await startSidecar(test, settings)
    const token = (await send(`${sidecar.url}/reflect-token`)).json().token
    assert.match(token, /^1\..{100}/)
    sandbox.foreignMint()
    assertAllWell(await makeCalls(sidecar.url, 3))

    const documents = await Promise.all(
      ['/', '/status', '/metrics', '/readyz'].map((path) => sidecar.ask(path)),
    )
    const told = [JSON.stringify(sidecar.log), ...documents.map(({ text }) => text)].join('\n')
    assert.ok(told.includes('token_minted'))
    assert.ok(!told.includes(token) && !told.includes('demo-secret'))
  })
})

describe('the quota of the token API', { concurrency: 2 }, () => {
  it('is respected when it is used up: the living token serves, then calls are told when to come back', async (test) => {
    const sandbox = await sandboxFor(test, {
      quotaPerDay: 1,
      tokenLifeMs: 4_000,
      validTillSpelling: 'fraction',
    })
    const sidecar = await startSidecar(test, settingsFor(sandbox, { REFRESH_LEAD: '2s' }))
    await sidecar.ready()
    const load = startRecordedLoad(test, { urls: [sidecar.url], parallel: 5 })
    await sidecar.logged('mint_failed', ({ code }) => code === 'mint_quota_exhausted')
    await load.more(20)
    await load.stop()
    assertAllWell(load.outcomes)
    assert.equal((await sidecar.ask('/readyz')).status, 200)

    const [minted] = sidecar.lines('token_minted')
    await untilPast(Date.parse(String(minted?.['valid_till'])))
    const refused = await send(`${sidecar.url}/echo`)
    assert.equal(refused.status, 503)
    assert.equal(refused.json().code, 'mint_budget_exhausted')
    assert.ok(Number(refused.headers['retry-after']) >= 1)
    assert.equal((await sidecar.ask('/readyz')).status, 503)
    assertTokenRequests(sandbox, { requests: 2, minted: 1 })
  })

  it('is not touched beyond MINT_DAILY_BUDGET, not even by a restarted process', async (test) => {
    const sandbox = await sandboxFor(test, { tokenLifeMs: 2_000, validTillSpelling: 'fraction' })
    const settings = settingsFor(sandbox, {
      MINT_DAILY_BUDGET: '1',
      TOKEN_STORE: `file:${join(tempDir(), 'tokens.json')}`,
    })
    const first = await startSidecar(test, settings)
    await first.ready()
    const [minted] = first.lines('token_minted')
    await untilPast(Date.parse(String(minted?.['valid_till'])))
    const exhausted = { 'status 503 mint_budget_exhausted': 5 }
    assert.deepEqual(failuresOf(await makeCalls(first.url, 5)), exhausted)
    assert.equal(await first.stop(), 0)

    const second = await startSidecar(test, settings)
    assert.deepEqual(failuresOf(await makeCalls(second.url, 5)), exhausted)
    assert.equal(await second.metric('token_sidecar_mint_budget_remaining'), 0)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })

    // A person may: the rest of the quota is left to people.
    const rotated = await runProgram(test, ['rotate'], opsOf(second))
    assert.equal(rotated.code, 0, rotated.stderr)
    assertTokenRequests(sandbox, { requests: 2, minted: 2 })
  })
})

function secretFile(secret: string): string {
  const path = join(tempDir(), 'client-secret')
  writeFileSync(path, `${secret}\n`, { mode: 0o600 })
  return path
}

async function untilPast(epochMs: number): Promise<void> {
  await eventually('the token has expired', () => Date.now() > epochMs)
}
