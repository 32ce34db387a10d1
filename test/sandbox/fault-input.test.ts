import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InputError, parseFault } from '../../sandbox/fault-input.ts'
import type { Fault } from '../../sandbox/faults.ts'

type TokenKind = Extract<Fault, { api: 'token' }>['kind']
type BusinessKind = Extract<Fault, { api: 'business' }>['kind']

/** One example of every kind; the type fails to compile when a kind is missing here. */
const token: { [K in TokenKind]: Extract<Fault, { api: 'token'; kind: K }> } = {
  slow: { api: 'token', kind: 'slow', ms: 0 },
  'slow-answer': { api: 'token', kind: 'slow-answer', ms: 5, count: 1, forMs: 1, client: 'one' },
  skew: { api: 'token', kind: 'skew', ms: -5 },
  'foreign-mint': { api: 'token', kind: 'foreign-mint' },
  status: { api: 'token', kind: 'status', status: 500, body: 'html' },
  reset: { api: 'token', kind: 'reset' },
  'lose-answer': { api: 'token', kind: 'lose-answer' },
  hang: { api: 'token', kind: 'hang', mints: false },
  garbage: { api: 'token', kind: 'garbage', body: 'truncated-json', mints: false },
  refuse: { api: 'token', kind: 'refuse', forMs: 1 },
}
const business: { [K in BusinessKind]: Extract<Fault, { api: 'business'; kind: K }> } = {
  latency: { api: 'business', kind: 'latency', ms: 1 },
  'check-at-end': { api: 'business', kind: 'check-at-end', path: '/echo' },
  status: { api: 'business', kind: 'status', status: 503 },
  reset: { api: 'business', kind: 'reset' },
  reject: { api: 'business', kind: 'reject' },
  refuse: { api: 'business', kind: 'refuse' },
}

describe('parseFault', () => {
  for (const fault of [...Object.values(token), ...Object.values(business)]) {
    it(`takes ${fault.api} ${fault.kind}`, () => {
      assert.deepEqual(parseFault(JSON.parse(JSON.stringify(fault))), fault)
    })
  }

  const wrong: [string, unknown][] = [
    ['should be', null],
    ['should be', [token.reset]],
    ['api: ', { kind: 'reset' }],
    ['kind: ', { api: 'business', kind: 'lose-answer' }],
    ['kind: ', { api: 'token', kind: 'toString' }],
    ['ms: ', { api: 'token', kind: 'slow' }],
    ['ms: ', { api: 'token', kind: 'slow', ms: '5' }],
    ['ms: ', { api: 'token', kind: 'slow', ms: 2 ** 31 }],
    ['count: ', { api: 'token', kind: 'reset', count: 0 }],
    ['count: ', { api: 'token', kind: 'refuse', count: 1 }],
    ['forMs: ', { api: 'token', kind: 'reset', forMs: 1.5 }],
    ['status: ', { api: 'token', kind: 'status', status: 99 }],
    ['mints: ', { api: 'token', kind: 'hang' }],
    ['body: ', { api: 'token', kind: 'garbage', body: 'nonsense' }],
    ['path: ', { api: 'token', kind: 'reset', path: '/x' }],
    ['client: ', { api: 'token', kind: 'refuse', client: 'one' }],
    ['cuont: ', { api: 'token', kind: 'reset', cuont: 1 }],
  ]
  for (const [field, input] of wrong) {
    it(`names what is wrong with ${JSON.stringify(input)}`, () => {
      assert.throws(
        () => parseFault(input),
        (error) => error instanceof InputError && error.message.startsWith(field),
      )
    })
  }
})
