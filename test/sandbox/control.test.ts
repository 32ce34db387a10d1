import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { describe, it } from 'node:test'
import { fingerprint } from '../../sandbox/issuer.ts'
import { call, control, mint, sandboxFor, send, tokenFrom } from './client.ts'

describe('control endpoint', () => {
  it('shows state and log without tokens or secrets', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    await call(sandbox, '/echo', token)
    const state = await control(sandbox, 'GET', 'state')
    const log = await control(sandbox, 'GET', 'log')
    assert.equal(state.json().clients[0].liveFingerprint, fingerprint(token))
    assert.equal(state.json().clients[0].requestsToday, 1)
    assert.equal(state.json().business.accepted, 1)
    assert.deepEqual(state.json().log, { kept: 1, dropped: 0 })
    assert.equal(log.json().events[0].outcome, 'minted')
    for (const { text } of [state, log]) assert.ok(!text.includes(token) && !text.includes('demo-secret'))
  })

  it('gives the part of the log asked for', async (test) => {
    const clients = ['one', 'two'].map((name) => ({ name, secret: `secret-${name}` }))
    const sandbox = await sandboxFor(test, { clients })
    for (const secret of ['secret-one', 'secret-two', 'secret-one']) await mint(sandbox, secret)
    const ids = async (search: string) => {
      const { events } = (await control(sandbox, 'GET', `log${search}`)).json()
      return events.map(({ id }: { id: number }) => id)
    }
    assert.deepEqual(await ids('?client=one'), [1, 3])
    assert.deepEqual(await ids('?after=1'), [2, 3])
  })

  it('adds faults, lists what is left of them, and clears them', async (test) => {
    const sandbox = await sandboxFor(test)
    const script = [
      { api: 'token', kind: 'status', status: 500, count: 2 },
      { api: 'business', kind: 'reject', path: '/echo' },
    ]
    const added = await control(sandbox, 'POST', 'faults', script)
    assert.equal(added.status, 201)
    assert.deepEqual(added.json(), { ids: [1, 2] })
    assert.equal((await mint(sandbox)).status, 500)
    assert.deepEqual((await control(sandbox, 'GET', 'faults')).json().faults, [
      { id: 1, fault: script[0], left: 1 },
      { id: 2, fault: script[1], left: null },
    ])
    assert.deepEqual((await control(sandbox, 'DELETE', 'faults')).json(), { cleared: 2 })
    assert.equal((await call(sandbox, '/echo', await tokenFrom(sandbox))).status, 200)
  })

  it('adds none of several faults when one is wrong', async (test) => {
    const sandbox = await sandboxFor(test)
    const answer = await control(sandbox, 'POST', 'faults', [
      { api: 'token', kind: 'reset' },
      { api: 'token' },
    ])
    assert.equal(answer.status, 400)
    assert.match(answer.json().error, /^kind: /)
    assert.deepEqual(sandbox.faults.list(), [])
  })

  it('can shut the port it is on for a time, and end that early on its own connection', async (test) => {
    const sandbox = await sandboxFor(test)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    test.after(() => agent.destroy())
    const refuse = { api: 'token', kind: 'refuse', forMs: 600_000 }
    const url = `${sandbox.controlUrl}faults`
    const shut = await send(url, { method: 'POST', body: JSON.stringify(refuse), agent })
    assert.equal(shut.status, 201)
    await assert.rejects(mint(sandbox), { code: 'ECONNREFUSED' })
    assert.equal((await send(url, { method: 'DELETE', agent })).status, 200)
    assert.equal((await mint(sandbox)).status, 200)
  })

  it('refuses to lock its caller out, unless it has a port of its own', async (test) => {
    const forGood = { api: 'business', kind: 'refuse' }
    const shared = await sandboxFor(test)
    assert.equal((await control(shared, 'POST', 'faults', forGood)).status, 400)
    const apart = await sandboxFor(test, { controlPort: 0 })
    assert.equal((await control(apart, 'POST', 'faults', forGood)).status, 201)
    await assert.rejects(send(`${apart.url}/echo`), { code: 'ECONNREFUSED' })
    assert.equal((await control(apart, 'DELETE', 'faults')).status, 200)
    assert.equal((await send(`${apart.url}/echo`)).status, 401)
  })

  it('is absent from the other ports when it has its own', async (test) => {
    const sandbox = await sandboxFor(test, { controlPort: 0, tokenPort: 0 })
    assert.equal((await send(`${sandbox.url}/_sandbox/state`)).status, 401)
    assert.equal((await send(`${new URL(sandbox.tokenUrl).origin}/_sandbox/state`)).status, 404)
  })

  it('creates a client, changes its life and whitelist, and deletes it', async (test) => {
    const sandbox = await sandboxFor(test)
    const created = await control(sandbox, 'POST', 'clients', {
      name: 'new',
      secret: 'new-secret',
      lifeMs: null,
    })
    assert.equal(created.status, 201)
    assert.equal((await mint(sandbox, 'new-secret')).json().valid_till, null)
    await control(sandbox, 'POST', 'clients', { name: 'new', allowedIps: ['192.0.2.1'] })
    assert.equal((await mint(sandbox, 'new-secret')).status, 401)
    await control(sandbox, 'POST', 'clients', { name: 'new', allowedIps: null, lifeMs: 1000 })
    assert.notEqual((await mint(sandbox, 'new-secret')).json().valid_till, null)
    assert.equal((await control(sandbox, 'DELETE', 'clients/new')).status, 200)
    assert.equal((await mint(sandbox, 'new-secret')).status, 401)
    assert.equal((await control(sandbox, 'DELETE', 'clients/new')).status, 404)
  })

  it('answers 400 to clients that make no sense, without repeating the secret', async (test) => {
    const sandbox = await sandboxFor(test)
    const wrong = [
      [],
      { secret: 'hush' },
      { name: 'demo', secret: 'hush' },
      { name: 'new' },
      { name: 'new', secret: 'hush', lifeMs: 'long' },
      { name: 'new', secret: 'hush', allowedIps: '127.0.0.1' },
      { name: 'new', secret: 'hush', life: 5 },
    ]
    for (const input of wrong) {
      const answer = await control(sandbox, 'POST', 'clients', input)
      assert.equal(answer.status, 400, JSON.stringify(input))
      assert.ok(!answer.text.includes('hush'))
    }
  })

  it('mints in a foreign name', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const answer = await control(sandbox, 'POST', 'foreign-mint', { client: 'demo' })
    assert.equal(answer.json().generation, 2)
    assert.equal(sandbox.issuer.stateOf(token), 'revoked')
    assert.equal(sandbox.log.events[1]?.foreign, true)
    assert.equal((await control(sandbox, 'POST', 'foreign-mint', { client: 'nobody' })).status, 400)
  })

  it('resets counters and log, but neither tokens nor the quota', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    await call(sandbox, '/echo', 'made-up')
    await control(sandbox, 'POST', 'reset-counters')
    const state = (await control(sandbox, 'GET', 'state')).json()
    assert.equal(state.business.rejected.unknown, 0)
    assert.equal(state.log.kept, 0)
    assert.equal(state.clients[0].requestsToday, 1)
    assert.equal((await call(sandbox, '/echo', token)).status, 200)
  })

  it('names its endpoints to whoever asks for another', async (test) => {
    const sandbox = await sandboxFor(test)
    const answer = await control(sandbox, 'GET', '')
    assert.equal(answer.status, 404)
    assert.ok(answer.json().endpoints.includes('GET /_sandbox/state'))
  })

  it('answers 400 to a body that is not JSON', async (test) => {
    const sandbox = await sandboxFor(test)
    const answer = await send(`${sandbox.controlUrl}faults`, { method: 'POST', body: '{' })
    assert.equal(answer.status, 400)
  })
})
