import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { fingerprint, Issuer, type IssuerOptions } from '../../sandbox/issuer.ts'
import { FakeClock } from './fake-clock.ts'

const HOUR_MS = 3_600_000
const LOCAL = '127.0.0.1'

describe('Issuer', () => {
  it('issues tokens of the shape 1.<uuid>_<64 hex>, below 256 characters and never the same twice', () => {
    const { issuer } = setUp()
    const [first, second] = [minted(issuer, 'one'), minted(issuer, 'one')]
    assert.match(first.value, /^1\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9a-f]{64}$/)
    assert.equal(first.value.length, 103)
    assert.notEqual(first.value, second.value)
  })

  it('revokes the previous token of a secret at the instant of the next mint', () => {
    const { issuer } = setUp()
    const first = minted(issuer, 'one')
    assert.equal(issuer.stateOf(first.value), 'live')
    const second = minted(issuer, 'one')
    assert.equal(issuer.stateOf(first.value), 'revoked')
    assert.equal(issuer.stateOf(second.value), 'live')
    assert.deepEqual([first.generation, second.generation], [1, 2])
  })

  it('keeps clients with different secrets apart', () => {
    const { issuer } = setUp()
    const one = minted(issuer, 'one')
    minted(issuer, 'two')
    assert.equal(issuer.stateOf(one.value), 'live')
  })

  it('accepts a token up to, and not at, the end of its life', () => {
    const { issuer, clock } = setUp()
    const token = minted(issuer, 'one')
    clock.advance(HOUR_MS - 1)
    assert.equal(issuer.stateOf(token.value), 'live')
    clock.advance(1)
    assert.equal(issuer.stateOf(token.value), 'expired')
  })

  it('calls a token that expired before its successor expired, not revoked', () => {
    const { issuer, clock } = setUp()
    const token = minted(issuer, 'one')
    clock.advance(HOUR_MS)
    minted(issuer, 'one')
    assert.equal(issuer.stateOf(token.value), 'expired')
  })

  it('issues tokens without an end when the client never expires', () => {
    const { issuer, clock } = setUp()
    issuer.changeClient('one', { lifeMs: null })
    const token = minted(issuer, 'one')
    assert.equal(token.expiresAt, null)
    clock.advance(100 * 365 * 24 * HOUR_MS)
    assert.equal(issuer.stateOf(token.value), 'live')
  })

  it('changes the life of later tokens only', () => {
    const { issuer, clock } = setUp()
    const token = minted(issuer, 'one')
    issuer.changeClient('one', { lifeMs: 1000 })
    clock.advance(2000)
    assert.equal(issuer.stateOf(token.value), 'live')
    assert.equal(minted(issuer, 'one').expiresAt, clock.now() + 1000)
  })

  it('tells a missing, a wrong and a deleted secret apart for the log', () => {
    const { issuer } = setUp()
    issuer.deleteClient('one')
    assert.equal(issuer.mint(undefined, LOCAL).outcome, 'secret_missing')
    assert.equal(issuer.mint('', LOCAL).outcome, 'secret_missing')
    assert.equal(issuer.mint('secret-none', LOCAL).outcome, 'secret_unknown')
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'client_deleted')
    assert.equal(issuer.nameOf('secret-one'), 'one')
    assert.equal(issuer.nameOf('secret-none'), null)
  })

  it('ends the living token when its client is deleted', () => {
    const { issuer } = setUp()
    const token = minted(issuer, 'one')
    issuer.deleteClient('one')
    assert.equal(issuer.stateOf(token.value), 'revoked')
  })

  it('lets a deleted client be created anew, and refuses a second one of the same name or secret', () => {
    const { issuer } = setUp()
    assert.throws(() => issuer.createClient(client('one', 'other')))
    assert.throws(() => issuer.createClient(client('three', 'secret-one')))
    issuer.deleteClient('one')
    issuer.createClient(client('one', 'secret-one'))
    assert.equal(minted(issuer, 'one').generation, 1)
  })

  it('refuses addresses outside the whitelist, without revoking anything', () => {
    const { issuer } = setUp()
    const token = minted(issuer, 'one')
    issuer.changeClient('one', { allowedIps: ['10.0.0.1'] })
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'ip_refused')
    assert.equal(issuer.stateOf(token.value), 'live')
    assert.equal(issuer.mint('secret-one', '10.0.0.1').outcome, 'minted')
  })

  it('refuses the request after the quota, and lets the living token be', () => {
    const { issuer } = setUp({ quotaPerDay: 3 })
    const tokens = [1, 2, 3].map(() => minted(issuer, 'one'))
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'quota_exhausted')
    assert.equal(issuer.stateOf(tokens[2]?.value ?? ''), 'live')
    assert.equal(issuer.mint('secret-two', LOCAL).outcome, 'minted')
  })

  it('counts by UTC day: one millisecond before midnight is still the old day', () => {
    const { issuer, clock } = setUp({ quotaPerDay: 1 }, '2026-03-01T10:00:00Z')
    minted(issuer, 'one')
    clock.advance(14 * HOUR_MS - 1)
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'quota_exhausted')
    clock.advance(1)
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'minted')
    assert.equal(issuer.clients()[0]?.requestsToday, 1)
  })

  it('counts failed requests of a known secret by default', () => {
    const { issuer } = setUp({ quotaPerDay: 2 })
    issuer.changeClient('one', { allowedIps: [] })
    issuer.mint('secret-one', LOCAL)
    issuer.fail('secret-one')
    issuer.fail('nobody')
    issuer.changeClient('one', { allowedIps: null })
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'quota_exhausted')
  })

  it('counts minted tokens only when told so', () => {
    const { issuer } = setUp({ quotaPerDay: 1, failuresCount: false })
    issuer.changeClient('one', { allowedIps: [] })
    issuer.mint('secret-one', LOCAL)
    issuer.fail('secret-one')
    issuer.changeClient('one', { allowedIps: null })
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'minted')
    assert.equal(issuer.mint('secret-one', LOCAL).outcome, 'quota_exhausted')
  })

  it('revokes on a foreign mint, which uses no quota', () => {
    const { issuer } = setUp()
    const token = minted(issuer, 'one')
    const foreign = issuer.foreignMint('one')
    assert.equal(issuer.stateOf(token.value), 'revoked')
    assert.equal(foreign.generation, 2)
    assert.equal(issuer.clients()[0]?.requestsToday, 1)
    assert.throws(() => issuer.foreignMint('nobody'))
  })

  it('shows clients by fingerprint, never by secret or token', () => {
    const { issuer } = setUp()
    const token = minted(issuer, 'one')
    const shown = JSON.stringify(issuer.clients())
    assert.equal(issuer.clients()[0]?.liveFingerprint, fingerprint(token.value))
    assert.ok(!shown.includes(token.value) && !shown.includes('secret-one'))
  })

  it('forgets dead tokens of long ago, never a living one', () => {
    const { issuer } = setUp({ quotaPerDay: Number.MAX_SAFE_INTEGER })
    const living = minted(issuer, 'two')
    const first = minted(issuer, 'one')
    for (let n = 0; n < 100_000; n += 1) issuer.foreignMint('one')
    assert.equal(issuer.stateOf(first.value), 'unknown')
    assert.equal(issuer.stateOf(living.value), 'live')
  })
})

function setUp(options: Partial<IssuerOptions> = {}, start = '2026-03-01T10:00:00Z') {
  const clock = new FakeClock(start)
  const defaults = { now: () => clock.now(), random: randomBytes, quotaPerDay: 288, failuresCount: true }
  const issuer = new Issuer({ ...defaults, ...options })
  issuer.createClient(client('one', 'secret-one'))
  issuer.createClient(client('two', 'secret-two'))
  return { issuer, clock }
}

function client(name: string, secret: string) {
  return { name, secret, lifeMs: HOUR_MS, allowedIps: null }
}

function minted(issuer: Issuer, name: string) {
  const result = issuer.mint(`secret-${name}`, LOCAL)
  assert.ok(result.outcome === 'minted')
  return result.token
}
