import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Evidence } from './evidence.ts'

const SECRET = 'r4nd0m/secret+of=the"client&0123456789'

/** What `write` makes of the secret must be noticed, though other bytes are around it and only part of it may be there. */
const spellings: [name: string, write: (secret: string) => string | Buffer][] = [
  ['plain text', (secret) => secret],
  ['its last two thirds', (secret) => secret.slice(12)],
  ['backwards', (secret) => [...secret].reverse().join('')],
  ['JSON', (secret) => JSON.stringify({ secret })],
  ['a query', (secret) => new URLSearchParams({ secret }).toString()],
  ['base64', (secret) => Buffer.from(secret).toString('base64')],
  ['base64 after a name', (secret) => Buffer.from(`user:${secret}`).toString('base64')],
  ['base64 after another name', (secret) => Buffer.from(`me:${secret};`).toString('base64')],
  ['base64url', (secret) => Buffer.from(`x${secret}`).toString('base64url')],
  ['hex', (secret) => Buffer.from(secret).toString('hex')],
  ['hex in capitals', (secret) => Buffer.from(secret).toString('hex').toUpperCase()],
  ['percent-encoded', (secret) => Buffer.from(secret).toString('hex').replace(/../g, '%$&')],
  ['UTF-16', (secret) => Buffer.from(secret, 'utf16le')],
  ['a Buffer as JSON', (secret) => JSON.stringify(Buffer.from(secret))],
]

describe('evidence', () => {
  for (const [name, write] of spellings) {
    it(`shows a secret written as ${name}`, () => {
      const evidence = new Evidence()
      evidence.add(
        'here',
        Buffer.concat([Buffer.from('before '), Buffer.from(write(SECRET)), Buffer.from(' after')]),
      )
      evidence.add('there', 'nothing')
      const leaks = evidence.leaks({ secret: SECRET })
      assert.ok(leaks.length > 0)
      for (const leak of leaks) assert.match(leak, /^secret as .+ in here$/)
    })
  }

  it('shows a secret that went out in two writes', () => {
    const evidence = new Evidence()
    evidence.add('here', SECRET.slice(0, 7))
    evidence.add('here', SECRET.slice(7, 20))
    assert.equal(evidence.leaks({ secret: SECRET }).length > 0, true)
  })

  it('shows nothing where there is nothing', () => {
    const evidence = new Evidence()
    evidence.add('here', 'r4nd0m, 0123456789, [redacted] and **************************************')
    assert.deepEqual(evidence.leaks({ secret: SECRET }), [])
  })
})
