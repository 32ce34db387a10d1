import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { describe, it } from 'node:test'
import type { ValidTillSpelling } from '../../sandbox/token-answers.ts'
import { call, mint, sandboxFor, send, tokenFrom } from './client.ts'
import { FakeClock } from './fake-clock.ts'

describe('token API', () => {
  it('answers a token and its end, in the documented shape', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00.250Z')
    const sandbox = await sandboxFor(test, { clock })
    const answer = await mint(sandbox)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'application/json')
    assert.deepEqual(Object.keys(answer.json()), ['access_token', 'valid_till'])
    assert.equal(answer.json().valid_till, '2026-03-01T11:00:00+00:00')
    assert.equal(answer.headers.date, 'Sun, 01 Mar 2026 10:00:00 GMT')
    assert.equal((await call(sandbox, '/echo', answer.json().access_token)).status, 200)
  })

  it('answers null for a client that never expires', async (test) => {
    const sandbox = await sandboxFor(test, { tokenLifeMs: null })
    assert.equal((await mint(sandbox)).json().valid_till, null)
  })

  it('spells the field with a hyphen when told so', async (test) => {
    const sandbox = await sandboxFor(test, { tokenField: 'access-token' })
    assert.deepEqual(Object.keys((await mint(sandbox)).json()), ['access-token', 'valid_till'])
  })

  const spellings: Record<ValidTillSpelling, string> = {
    offset: '2026-03-01T11:00:00+00:00',
    zulu: '2026-03-01T11:00:00Z',
    fraction: '2026-03-01T11:00:00.250+00:00',
    bare: '2026-03-01T11:00:00',
  }
  for (const [spelling, expected] of Object.entries(spellings)) {
    it(`spells valid_till as ${expected} when told ${spelling}`, async (test) => {
      const clock = new FakeClock('2026-03-01T10:00:00.250Z')
      const validTillSpelling = spelling as ValidTillSpelling
      const sandbox = await sandboxFor(test, { clock, validTillSpelling })
      assert.equal((await mint(sandbox)).json().valid_till, expected)
    })
  }

  it('tells a wrong time in Date and valid_till alike, and lets the token live its whole life', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock, clockSkewMs: -7_200_000 })
    const answer = await mint(sandbox)
    assert.equal(answer.headers.date, 'Sun, 01 Mar 2026 08:00:00 GMT')
    assert.equal(answer.json().valid_till, '2026-03-01T09:00:00+00:00')
    clock.advance(3_599_999)
    assert.equal((await call(sandbox, '/echo', answer.json().access_token)).status, 200)
  })

  it('answers 401 in the error shape for a missing, wrong or deleted secret and a foreign address', async (test) => {
    const clients = [
      { name: 'open', secret: 'open-secret' },
      { name: 'fenced', secret: 'fenced-secret', allowedIps: ['192.0.2.1'] },
    ]
    const sandbox = await sandboxFor(test, { clients })
    sandbox.issuer.deleteClient('open')
    const answers = [
      await send(sandbox.tokenUrl),
      await mint(sandbox, 'wrong'),
      await mint(sandbox, 'open-secret'),
      await mint(sandbox, 'fenced-secret'),
    ]
    for (const answer of answers) {
      assert.equal(answer.status, 401)
      const [error] = answer.json().errors
      assert.deepEqual(Object.keys(error), ['error_code', 'error_message', 'error_source', 'error_id'])
      assert.equal(error.error_source, 'CLEAR')
    }
    assert.deepEqual(
      sandbox.log.events.map(({ outcome, client }) => [outcome, client]),
      [
        ['secret_missing', null],
        ['secret_unknown', null],
        ['client_deleted', 'open'],
        ['ip_refused', 'fenced'],
      ],
    )
  })

  it('answers 429 after the quota and mints again from 00:00 UTC on', async (test) => {
    const clock = new FakeClock('2026-03-01T23:59:59Z')
    const sandbox = await sandboxFor(test, { clock, quotaPerDay: 2 })
    await mint(sandbox)
    const token = await tokenFrom(sandbox)
    const refused = await mint(sandbox)
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], undefined)
    assert.equal(refused.json().errors[0].error_source, 'CLEAR')
    assert.equal((await call(sandbox, '/echo', token)).status, 200)
    clock.advance(1000)
    assert.equal((await mint(sandbox)).status, 200)
  })

  it('refuses other methods with 405, without a mint', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    for (const method of ['POST', 'HEAD', 'PUT', 'DELETE']) {
      const answer = await mint(sandbox, 'demo-secret', { method })
      assert.equal(answer.status, 405)
      assert.equal(answer.headers.allow, 'GET')
    }
    assert.equal(sandbox.issuer.stateOf(token), 'live')
  })

  it('is served below every base path, and nowhere else', async (test) => {
    const sandbox = await sandboxFor(test, { tokenBasePaths: ['', '/ksa'] })
    const headers = { 'x-clear-client-secret': 'demo-secret' }
    const path = '/integration/v1/authz/token'
    assert.equal((await send(`${sandbox.url}/ksa${path}`, { headers })).status, 200)
    assert.equal((await send(`${sandbox.url}${path}?x=1`, { headers })).status, 200)
    assert.equal((await send(`${sandbox.url}/other${path}`, { headers })).status, 401)
    assert.equal((await send(`${sandbox.url}${path}s`, { headers })).status, 401)
    assert.equal(sandbox.log.events.length, 2)
  })

  it('takes a secret with the characters real ones have', async (test) => {
    const secret = 'aB+/cD==@x1y'
    const sandbox = await sandboxFor(test, { clients: [{ name: 'base64', secret }] })
    assert.equal((await mint(sandbox, secret)).status, 200)
  })

  it('logs for each request when it began, took effect and was answered, and on which connection', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    test.after(() => agent.destroy())
    await mint(sandbox, 'demo-secret', { agent })
    clock.advance(1000)
    await mint(sandbox, 'demo-secret', { agent })
    await mint(sandbox)
    const [first, second, third] = sandbox.log.events
    assert.ok(first && second && third)
    assert.equal(second.startedAt - first.startedAt, 1000)
    assert.equal(second.answeredAt, second.startedAt)
    assert.equal(second.processedAt, second.startedAt)
    assert.equal(second.endedAt, second.startedAt)
    assert.equal(first.connection, second.connection)
    assert.equal(first.remotePort, second.remotePort)
    assert.notEqual(third.connection, first.connection)
    assert.deepEqual([first.generation, second.generation, third.generation], [1, 2, 3])
    assert.deepEqual([first.inFlight, second.inFlight, third.inFlight], [1, 1, 1])
  })
})
