import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isoInstant, type StatusFacts, statusDocument } from '../../proxy/ops/status.ts'
import { credential, emptyCredential, NOW, opsDeps } from './deps.ts'

function facts(changes: Partial<StatusFacts> = {}): StatusFacts {
  const { version, startedAt, routes } = opsDeps()
  return {
    version,
    startedAt,
    routes,
    now: NOW,
    readiness: { ok: true, reason: null },
    credentials: [credential()],
    ...changes,
  }
}

describe('status document', () => {
  it('has exactly the documented names and values', () => {
    const lastError = { code: 'mint_status', at: NOW - 60_000, errorId: 'abc-123' }
    assert.deepEqual(statusDocument(facts({ credentials: [credential({ lastError })] })), {
      version: '1.2.3',
      ready: true,
      reason: null,
      uptime_s: 90,
      credentials: [
        {
          name: 'default',
          state: 'fresh',
          generation: 7,
          fingerprint: '0a1b2c3d',
          minted_at: '2029-12-31T23:00:00.000Z',
          valid_till: '2030-01-01T01:00:00.000Z',
          next_refresh_at: '2030-01-01T00:55:00.000Z',
          last_error: { code: 'mint_status', at: '2029-12-31T23:59:00.000Z', error_id: 'abc-123' },
          mints: { total: 3, failed: 1, today: 12, budget: 240 },
          store: { kind: 'redis', healthy: true },
        },
      ],
      routes: [
        { name: 'default', prefix: '/', upstream: 'https://api.example.com/base', credential: 'default' },
      ],
    })
  })

  it('says null for what there is not: token, expiry, error, reason', () => {
    const [empty] = statusDocument(facts({ credentials: [emptyCredential()] })).credentials
    assert.equal(empty?.generation, 0)
    assert.equal(empty?.fingerprint, null)
    assert.equal(empty?.minted_at, null)
    assert.equal(empty?.valid_till, null)
    assert.equal(empty?.next_refresh_at, null)
    assert.equal(empty?.last_error, null)
    const [eternal] = statusDocument(facts({ credentials: [credential({ validTill: null })] })).credentials
    assert.equal(eternal?.valid_till, null)
    assert.equal(eternal?.generation, 7)
  })

  it('tells why it is not ready', () => {
    const { ready, reason } = statusDocument(facts({ readiness: { ok: false, reason: 'draining' } }))
    assert.deepEqual({ ready, reason }, { ready: false, reason: 'draining' })
  })

  it('publishes nothing of a snapshot or a route beyond the documented names', () => {
    const wider = { ...credential(), secretFile: '/run/secrets/x' }
    const route = { name: 'r', prefix: '/r', upstream: 'http://u', credential: 'default', tokenHeader: 'h' }
    const text = JSON.stringify(statusDocument(facts({ credentials: [wider], routes: [route] })))
    assert.doesNotMatch(text, /secretFile|tokenHeader|durationCounts|usable/)
  })

  it('never counts an uptime below zero when the clock was set back', () => {
    assert.equal(statusDocument(facts({ startedAt: NOW + 5000 })).uptime_s, 0)
  })

  it('shows an instant no calendar can hold as null instead of failing', () => {
    assert.equal(isoInstant(8.64e15 + 1), null)
    assert.equal(isoInstant(Number.POSITIVE_INFINITY), null)
    assert.equal(isoInstant(Number.NaN), null)
    assert.equal(isoInstant(0), '1970-01-01T00:00:00.000Z')
  })
})
