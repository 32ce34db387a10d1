import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { liveness, readiness, startup } from '../../proxy/ops/health.ts'
import { credential, emptyCredential } from './deps.ts'

describe('health', () => {
  it('is alive whatever the tokens do', () => {
    assert.deepEqual(liveness(), { ok: true, reason: null })
  })

  it('has started once the listeners are open, with or without a token', () => {
    assert.equal(startup(false).ok, false)
    assert.deepEqual(startup(true), { ok: true, reason: null })
  })

  it('is ready while every credential holds a usable token', () => {
    const credentials = [credential(), credential({ name: 'gls', state: 'suspect' })]
    assert.deepEqual(readiness({ started: true, draining: false, credentials }), { ok: true, reason: null })
  })

  it('names each credential without a usable token, its state and its last error', () => {
    const credentials = [
      credential(),
      emptyCredential({ name: 'gls' }),
      credential({
        name: 'my',
        usable: false,
        state: 'rejected',
        lastError: { code: 'mint_secret_rejected', at: 0, errorId: 'e-1' },
      }),
    ]
    const { ok, reason } = readiness({ started: true, draining: false, credentials })
    assert.equal(ok, false)
    assert.equal(
      reason,
      'no usable token for credential gls: starting; ' +
        'no usable token for credential my: rejected, last error mint_secret_rejected',
    )
  })

  it('says when it is the token store that keeps a credential without a token', () => {
    const store = { kind: 'file', healthy: false, errors: 3 }
    const credentials = [emptyCredential({ state: 'backing_off', store })]
    const { reason } = readiness({ started: true, draining: false, credentials })
    assert.equal(
      reason,
      'no usable token for credential default: backing_off, the token store (file) does not work',
    )
  })

  it('is not ready before the listeners are open', () => {
    const { ok, reason } = readiness({ started: false, draining: false, credentials: [credential()] })
    assert.equal(ok, false)
    assert.match(String(reason), /^starting/)
  })

  it('is not ready while draining, though a token is held', () => {
    const { ok, reason } = readiness({ started: true, draining: true, credentials: [credential()] })
    assert.equal(ok, false)
    assert.match(String(reason), /^draining/)
  })
})
