import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { statusText } from '../../proxy/cli/status-text.ts'
import type { StatusDocument } from '../../proxy/ops/status.ts'

const status: StatusDocument = {
  version: '1.2.3',
  ready: true,
  reason: null,
  uptime_s: 3_700,
  credentials: [
    {
      name: 'default',
      state: 'fresh',
      generation: 7,
      fingerprint: '0a1b2c3d',
      minted_at: '2030-01-01T00:00:00.000Z',
      valid_till: null,
      next_refresh_at: null,
      last_error: null,
      mints: { total: 2, failed: 0, today: 5, budget: 240 },
      store: { kind: 'redis', healthy: true },
    },
  ],
  routes: [
    { name: 'gls', prefix: '/gls', upstream: 'https://api.example/', credential: 'default' },
    { name: 'default', prefix: '/', upstream: 'https://api.example/', credential: 'default' },
  ],
}

describe('the status for people', () => {
  it('is aligned and plain', () => {
    assert.equal(
      statusText(status, false),
      `token-sidecar 1.2.3, up 1 h 1 min, ready

credential default: fresh
  token         generation 7, fingerprint 0a1b2c3d
  minted at     2030-01-01T00:00:00.000Z
  valid till    never expires
  next refresh  none planned
  requests      5 of 240 today; here 2, of which 0 failed
  store         redis

routes
  gls      /gls  →  https://api.example/  credential default
  default  /     →  https://api.example/  credential default
`,
    )
  })

  it('has colours on a terminal, and says the same', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences.
    const colours = /\u001b\[\d+m/g
    const coloured = statusText(status, true)
    assert.match(coloured, colours)
    assert.equal(coloured.replace(colours, ''), statusText(status, false))
  })

  it('says what to do about a store that does not answer', () => {
    const [credential] = status.credentials
    assert.ok(credential)
    const down = { ...credential, store: { kind: 'redis', healthy: false } }
    const text = statusText({ ...status, credentials: [down] }, false)
    assert.match(text, /redis, does not answer/)
    assert.match(text, /docs\/operations\.md#store_unreachable/)
  })
})
