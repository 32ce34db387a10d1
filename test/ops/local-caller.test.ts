import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Caller, refusal } from '../../proxy/ops/local-caller.ts'

const headers = { host: 'localhost:9464', 'x-sidecar-request': '1' }

function from(remoteAddress: string | undefined, changes: Partial<Caller> = {}) {
  return refusal({ bySocketFile: false, remoteAddress, headers, ...changes })
}

describe('local caller', () => {
  it('comes from any loopback address, also one mapped into IPv6', () => {
    for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1']) {
      assert.equal(from(address), null, address)
    }
  })

  it('does not come from elsewhere, nor from a connection that is gone', () => {
    for (const address of [
      '10.0.0.1',
      '::ffff:10.0.0.1',
      'fe80::1',
      '::',
      '0.0.0.0',
      '128.0.0.1',
      '1127.0.0.1',
      undefined,
    ]) {
      assert.match(String(from(address)), /loopback/, String(address))
    }
  })

  it('has no address when it comes through a socket file', () => {
    assert.equal(from(undefined, { bySocketFile: true }), null)
  })

  it('names this host and carries the mark through a socket file as well', () => {
    assert.match(
      String(from(undefined, { bySocketFile: true, headers: { host: 'localhost' } })),
      /x-sidecar-request/,
    )
    assert.match(
      String(from(undefined, { bySocketFile: true, headers: { ...headers, host: 'a.example' } })),
      /Host/,
    )
  })
})
