import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import type { GarbageKind } from '../../sandbox/token-answers.ts'
import { begin, call, mint, sandboxFor, send, tokenFrom } from './client.ts'
import { FakeClock } from './fake-clock.ts'

const START = '2026-03-01T10:00:00Z'

describe('faults of the token API', () => {
  it('slow: takes effect only after the wait', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'slow', ms: 3000, count: 1 })
    const answer = mint(sandbox)
    await until(() => clock.pending === 1)
    clock.advance(2999)
    assert.equal(sandbox.issuer.stateOf(token), 'live')
    clock.advance(1)
    assert.equal((await answer).status, 200)
    assert.equal(sandbox.issuer.stateOf(token), 'revoked')
  })

  it('slow: takes effect also when the client has left before', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'slow', ms: 3000 })
    const leaving = new AbortController()
    const answer = mint(sandbox, 'demo-secret', { signal: leaving.signal })
    await until(() => clock.pending === 1)
    leaving.abort()
    await assert.rejects(answer)
    await until(() => sandbox.log.events[1]?.endedAt != null)
    assert.equal(sandbox.issuer.stateOf(token), 'live')
    clock.advance(3000)
    await until(() => sandbox.issuer.stateOf(token) === 'revoked')
    assert.equal(sandbox.log.events[1]?.answeredAt, null)
    assert.equal(sandbox.log.events[1]?.processedAt, clock.now())
  })

  it('slow answer: takes effect at once, while the answer is still to come', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 3000, count: 1 })
    const answer = mint(sandbox)
    await until(() => clock.pending === 1)
    assert.equal(sandbox.issuer.stateOf(token), 'revoked')
    clock.advance(3000)
    assert.equal(sandbox.issuer.stateOf((await answer).json().access_token), 'live')
    const [, event] = sandbox.log.events
    assert.equal((event?.answeredAt ?? 0) - (event?.processedAt ?? 0), 3000)
  })

  for (const status of [500, 429, 401]) {
    it(`status ${status}: answers so in the error shape, mints nothing and uses the quota`, async (test) => {
      const sandbox = await sandboxFor(test)
      const token = await tokenFrom(sandbox)
      sandbox.faults.add({ api: 'token', kind: 'status', status, count: 1 })
      const answer = await mint(sandbox)
      assert.equal(answer.status, status)
      assert.equal(typeof answer.json().errors[0].error_id === 'string', status === 500)
      assert.equal(sandbox.issuer.stateOf(token), 'live')
      assert.equal(sandbox.issuer.clients()[0]?.requestsToday, 2)
      assert.equal(sandbox.log.events[1]?.outcome, 'faulty')
      assert.equal((await mint(sandbox)).status, 200)
    })
  }

  it('status: answers HTML or nothing in place of JSON', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'status', status: 429, body: 'html', count: 1 })
    sandbox.faults.add({ api: 'token', kind: 'status', status: 429, body: 'empty', count: 1 })
    assert.match((await mint(sandbox)).headers['content-type'] ?? '', /^text\/html/)
    assert.equal((await mint(sandbox)).body.length, 0)
  })

  it('reset: cuts the connection before anything happened', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'reset', count: 1 })
    await assert.rejects(mint(sandbox), { code: 'ECONNRESET' })
    assert.equal(sandbox.issuer.stateOf(token), 'live')
    assert.equal(sandbox.log.events[1]?.processedAt, null)
  })

  it('lost answer: the mint revokes although its answer never comes', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'lose-answer', count: 1 })
    await assert.rejects(mint(sandbox), { code: 'ECONNRESET' })
    assert.equal((await call(sandbox, '/echo', token)).status, 401)
    assert.equal(sandbox.gate.counters.rejected.revoked, 1)
    assert.equal(sandbox.log.events[1]?.outcome, 'minted')
    assert.equal(sandbox.log.events[1]?.answeredAt, null)
  })

  for (const mints of [true, false]) {
    it(`hang ${mints ? 'after' : 'without'} a mint: no answer until the client leaves`, async (test) => {
      const sandbox = await sandboxFor(test)
      const token = await tokenFrom(sandbox)
      sandbox.faults.add({ api: 'token', kind: 'hang', mints, count: 1 })
      const req = begin(sandbox.tokenUrl, { headers: { 'x-clear-client-secret': 'demo-secret' } })
      const cut = assert.rejects(once(req, 'response'))
      req.end()
      await until(() => sandbox.log.events.length === 2)
      assert.equal(sandbox.issuer.stateOf(token), mints ? 'revoked' : 'live')
      assert.equal(sandbox.log.events[1]?.endedAt, null)
      await mint(sandbox)
      assert.equal(sandbox.log.events[2]?.inFlight, 2)
      req.destroy()
      await cut
      await until(() => sandbox.log.events[1]?.endedAt != null)
      await mint(sandbox)
      assert.equal(sandbox.log.events[3]?.inFlight, 1)
    })
  }

  const garbage: Record<Exclude<GarbageKind, 'truncated-body'>, RegExp> = {
    empty: /^$/,
    html: /^<!doctype html>/,
    'no-token': /^\{"valid_till":null\}$/,
    errors: /^\{"errors":\[/,
    'token-and-errors': /^\{"access_token":"1\..*"errors":\[/,
    'truncated-json': /^\{"access_token":"1\.[^"]*$/,
  }
  for (const [body, expected] of Object.entries(garbage)) {
    it(`garbage ${body}: answers 200 that is none, after a mint that counts`, async (test) => {
      const sandbox = await sandboxFor(test)
      const token = await tokenFrom(sandbox)
      sandbox.faults.add({ api: 'token', kind: 'garbage', body: body as GarbageKind, count: 1 })
      const answer = await mint(sandbox)
      assert.equal(answer.status, 200)
      assert.match(answer.text, expected)
      assert.equal(sandbox.issuer.stateOf(token), 'revoked')
    })
  }

  it('garbage truncated-body: cuts the connection before the promised length', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'garbage', body: 'truncated-body', count: 1 })
    await assert.rejects(mint(sandbox), { code: 'ECONNRESET' })
  })

  it('garbage without a mint leaves the living token alone', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'garbage', body: 'truncated-json', mints: false, count: 1 })
    assert.equal((await mint(sandbox)).status, 200)
    assert.equal(sandbox.issuer.stateOf(token), 'live')
  })

  it('skew: the clock told is off for as long as the fault lasts', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock })
    sandbox.faults.add({ api: 'token', kind: 'skew', ms: 60_000, forMs: 5000 })
    const skewed = await mint(sandbox)
    assert.equal(skewed.headers.date, 'Sun, 01 Mar 2026 10:01:00 GMT')
    assert.equal(skewed.json().valid_till, '2026-03-01T11:01:00+00:00')
    clock.advance(5000)
    assert.equal((await mint(sandbox)).headers.date, 'Sun, 01 Mar 2026 10:00:05 GMT')
  })

  it('foreign mint: the token answered is revoked before it arrives', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'foreign-mint', count: 1 })
    const token = await tokenFrom(sandbox)
    assert.equal(sandbox.issuer.stateOf(token), 'revoked')
    assert.deepEqual(
      sandbox.log.events.map(({ foreign, generation }) => [foreign, generation]),
      [
        [false, 1],
        [true, 2],
      ],
    )
  })

  it('a foreign mint revokes the current token now', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.foreignMint()
    assert.equal((await call(sandbox, '/echo', token)).status, 401)
  })

  it('plays endings one after the other, in the order they were added', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'status', status: 500, count: 2 })
    sandbox.faults.add({ api: 'token', kind: 'status', status: 429, count: 1 })
    const statuses = []
    for (let n = 0; n < 4; n += 1) statuses.push((await mint(sandbox)).status)
    assert.deepEqual(statuses, [500, 500, 429, 200])
    assert.deepEqual(sandbox.faults.list(), [])
  })

  it('adds a wait to an ending: slow and then lost', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock })
    sandbox.faults.add({ api: 'token', kind: 'slow', ms: 100, count: 1 })
    sandbox.faults.add({ api: 'token', kind: 'lose-answer', count: 1 })
    const cut = assert.rejects(mint(sandbox))
    await until(() => clock.pending === 1)
    clock.advance(100)
    await cut
    assert.equal(sandbox.log.events[0]?.generation, 1)
  })

  it('hits only the client named', async (test) => {
    const clients = ['one', 'two'].map((name) => ({ name, secret: `secret-${name}` }))
    const sandbox = await sandboxFor(test, { clients })
    sandbox.faults.add({ api: 'token', kind: 'status', status: 500, client: 'one' })
    assert.equal((await mint(sandbox, 'secret-two')).status, 200)
    assert.equal((await mint(sandbox, 'secret-one')).status, 500)
    assert.equal((await mint(sandbox, 'secret-nobody')).status, 401)
  })

  it('refuse: the system refuses connections, until the time is over and the same port accepts again', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock, tokenPort: 0 })
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'token', kind: 'refuse', forMs: 5000 })
    await assert.rejects(mint(sandbox), { code: 'ECONNREFUSED' })
    assert.equal((await call(sandbox, '/echo', token)).status, 200)
    clock.advance(4999)
    await assert.rejects(mint(sandbox), { code: 'ECONNREFUSED' })
    clock.advance(1)
    await sandbox.faults.clear()
    assert.equal((await mint(sandbox)).status, 200)
  })

  it('refuse: cuts a mint under way, as when the program died', async (test) => {
    const sandbox = await sandboxFor(test, { tokenPort: 0 })
    sandbox.faults.add({ api: 'token', kind: 'hang', mints: false, count: 1 })
    const cut = assert.rejects(mint(sandbox), { code: 'ECONNRESET' })
    await until(() => sandbox.log.events.length === 1)
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    await cut
    await sandbox.faults.clear()
    assert.equal((await mint(sandbox)).status, 200)
  })

  it('refuse: a port that serves two refused APIs opens when both may', async (test) => {
    const clock = new FakeClock(START)
    const sandbox = await sandboxFor(test, { clock, controlPort: 0 })
    sandbox.faults.add({ api: 'token', kind: 'refuse', forMs: 1000 })
    sandbox.faults.add({ api: 'business', kind: 'refuse' })
    clock.advance(1000)
    await assert.rejects(send(`${sandbox.url}/echo`), { code: 'ECONNREFUSED' })
    await sandbox.faults.clear()
    assert.equal((await send(`${sandbox.url}/echo`)).status, 401)
  })
})

/** Lets the event loop turn until the condition holds; the test's own time limit ends it otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
