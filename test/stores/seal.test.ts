import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import type { Token } from '../../proxy/token/token.ts'
import { fc } from '../support/fast-check.ts'

const url = new URL('https://api.test/integration/v1/authz/token')
const sealer = createSealer(new Secret('client-secret'), url)

const anyToken: fc.Arbitrary<Token> = fc.record({
  value: fc.string({ minLength: 1, maxLength: 256, unit: 'binary' }).map((value) => new Secret(value)),
  validTill: fc.option(fc.integer({ min: 0, max: 4e12 })),
  mintedAt: fc.integer({ min: 0, max: 4e12 }),
  generation: fc.nat(),
})

function revealed(token: Token | null) {
  return token && { ...token, value: token.value.reveal() }
}

describe('a sealed token', () => {
  it('opens to what was sealed', () => {
    fc.assert(
      fc.property(anyToken, (token) => {
        assert.deepEqual(revealed(sealer.open(sealer.seal(token), token.generation)), revealed(token))
      }),
    )
  })

  it('opens in another process that has the same secret', () => {
    const twin = createSealer(new Secret('client-secret'), new URL(url))
    fc.assert(
      fc.property(anyToken, (token) => {
        assert.deepEqual(revealed(twin.open(sealer.seal(token), token.generation)), revealed(token))
      }),
    )
  })

  it('opens under no other generation', () => {
    fc.assert(
      fc.property(anyToken, fc.nat(), (token, generation) => {
        fc.pre(generation !== token.generation)
        assert.equal(sealer.open(sealer.seal(token), generation), null)
      }),
    )
  })

  it('opens with no other secret and for no other token API', () => {
    const others = [
      createSealer(new Secret('client-secreT'), url),
      createSealer(new Secret(''), url),
      createSealer(
        new Secret('client-secret'),
        new URL('https://api-sandbox.test/integration/v1/authz/token'),
      ),
    ]
    fc.assert(
      fc.property(anyToken, fc.constantFrom(...others), (token, other) => {
        assert.equal(other.open(sealer.seal(token), token.generation), null)
      }),
    )
  })

  it('does not open once any character of it was changed', () => {
    const sealed = sealer.seal(token('a token'))
    for (let place = 0; place < sealed.length; place++) {
      for (const character of ['A', 'B', 'z', '-', '_', '+', '/', '=', '.', ' ', '\n', 'é', '\0']) {
        const changed = sealed.slice(0, place) + character + sealed.slice(place + 1)
        if (changed !== sealed) assert.equal(sealer.open(changed, 1), null, JSON.stringify(changed))
      }
    }
  })

  it('does not open once any bit under its spelling was flipped', () => {
    const sealed = sealer.seal(token('a token'))
    const bytes = Buffer.from(sealed.slice('v1.'.length), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(sealer.open(`v1.${flipped.toString('base64url')}`, 1), null)
    }
  })

  it('does not open when cut short anywhere or with something added', () => {
    const sealed = sealer.seal(token('a token'))
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(sealer.open(sealed.slice(0, length), 1), null)
    }
    for (const added of ['A', '=', '\n', '.', '.AAAA', ' '])
      assert.equal(sealer.open(sealed + added, 1), null)
  })

  it('does not open under another version’s name', () => {
    const rest = sealer.seal(token('a token')).slice('v1'.length)
    for (const version of ['', 'v', 'v0', 'v2', 'V1', 'v1 ', ' v1'])
      assert.equal(sealer.open(version + rest, 1), null)
  })

  it('is nothing that was not sealed, whatever it is', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => sealer.open(text, 1) === null))
    fc.assert(
      fc.property(
        fc.uint8Array(),
        (bytes) => sealer.open(`v1.${Buffer.from(bytes).toString('base64url')}`, 1) === null,
      ),
    )
  })

  it('never shows the token, and is another text each time', () => {
    const value = 'eyJhbGciOiJIUzI1NiJ9.token-in-the-clear'
    const texts = Array.from({ length: 50 }, () => sealer.seal(token(value)))
    assert.equal(new Set(texts).size, texts.length)
    for (const text of texts) {
      const bytes = Buffer.from(text.slice('v1.'.length), 'base64url').toString('latin1')
      for (let place = 0; place + 5 <= value.length; place++) {
        const part = value.slice(place, place + 5)
        assert.ok(!text.includes(part) && !bytes.includes(part), `${part} shows`)
      }
    }
  })
})

describe('the name of an entry', () => {
  it('is the same for the same pair of secret and token API, in every process', () => {
    assert.equal(createSealer(new Secret('client-secret'), new URL(url)).entryKey, sealer.entryKey)
    assert.match(sealer.entryKey, /^[0-9a-f]{32}$/)
  })

  it('differs for each secret and each token API', () => {
    const secrets = ['a', 'b', 'ab', 'client-secret', 'client-secret ', '']
    const urls = ['https://a.test/t', 'https://b.test/t', 'https://a.test/t/', 'http://a.test/t']
    const keys = secrets.flatMap((secret) =>
      urls.map((text) => createSealer(new Secret(secret), new URL(text)).entryKey),
    )
    assert.equal(new Set(keys).size, secrets.length * urls.length)
  })

  it('reveals neither of them', () => {
    const [secret, host] = ['deadbeefcafe', 'feedface.test']
    const { entryKey } = createSealer(new Secret(secret), new URL(`https://${host}/`))
    for (const part of [secret, host, Buffer.from(secret).toString('hex'), new Secret(secret).fingerprint()])
      assert.ok(!entryKey.includes(part))
  })
})

function token(value: string): Token {
  return { value: new Secret(value), validTill: null, mintedAt: 0, generation: 1 }
}
