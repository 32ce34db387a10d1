import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { Secret } from '../../proxy/lib/secret.ts'

const VALUE = 'kept-from-all-eyes'
const secret = new Secret(VALUE)

const printings: [title: string, print: () => string][] = [
  ['a template', () => `${secret}`],
  ['a sum', () => `a${String(secret)}`],
  ['JSON', () => JSON.stringify({ secret })],
  ['a debugger', () => inspect({ deep: [secret] }, { showHidden: true, depth: null })],
  ['a format string', () => format('%s %j %o', secret, secret, secret)],
  ['its own fields', () => JSON.stringify(Object.entries(secret)) + Object.keys(secret)],
  ['a copy', () => inspect({ ...secret })],
  ['an error about it', () => inspect(new Error('failed', { cause: secret }))],
]

for (const [title, print] of printings) {
  test(`a secret is not shown by ${title}`, () => assert.ok(!print().includes(VALUE), print()))
}

test('a secret gives its value to who reveals it', () => {
  assert.equal(secret.reveal(), VALUE)
  assert.equal(secret.length, VALUE.length)
})

test('a fingerprint tells secrets apart and is the start of their SHA-256', () => {
  assert.equal(new Secret('abc').fingerprint(), 'ba7816bf')
  assert.notEqual(new Secret('abd').fingerprint(), 'ba7816bf')
})

test('secrets are compared by value, whatever their lengths', () => {
  assert.ok(secret.matches(VALUE))
  assert.ok(secret.equals(new Secret(VALUE)))
  for (const other of ['', VALUE.slice(1), `${VALUE}.`]) {
    assert.ok(!secret.matches(other))
    assert.ok(!secret.equals(new Secret(other)))
  }
})
