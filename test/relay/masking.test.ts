import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTokenMask, isMaskable } from '../../proxy/relay/masking.ts'
import { fc } from '../support/fast-check.ts'

const TOKEN = 'abcabd-secret'

/** The pieces a masker lets go, the flushed rest last. */
function masked(token: string, pieces: readonly string[]): string[] {
  const masker = createTokenMask(Buffer.from(token, 'latin1')).body()
  const out = pieces.map((piece) => masker.write(Buffer.from(piece, 'latin1')).toString('latin1'))
  return [...out, masker.flush().toString('latin1')]
}

describe('token masking', () => {
  it('replaces the token in a field value by as many stars, everywhere in it', () => {
    const mask = createTokenMask(Buffer.from(TOKEN))
    const stars = '*'.repeat(TOKEN.length)
    assert.equal(mask.head(`Bearer ${TOKEN}, ${TOKEN}`), `Bearer ${stars}, ${stars}`)
    assert.equal(mask.head('nothing here'), 'nothing here')
  })

  it('finds the token across any cut of a body', () => {
    const text = `x${TOKEN}y${TOKEN}${TOKEN}z`
    const stars = '*'.repeat(TOKEN.length)
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second += 5) {
        const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)]
        assert.equal(masked(TOKEN, pieces).join(''), `x${stars}y${stars}${stars}z`)
      }
    }
  })

  it('holds back only an end that could begin the token', () => {
    const pieces = ['data: hello\n\n', 'x abcab', 'c', 'abd-secre', 't', ' abc']
    const stars = '*'.repeat(TOKEN.length)
    assert.deepEqual(masked(TOKEN, pieces), ['data: hello\n\n', 'x ', 'abc', '', stars, ' ', 'abc'])
  })

  it('does the same as replacing in the whole text, whatever the cuts', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 40 })
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 5 }),
        fc.array(letters, { maxLength: 6 }),
        (token, pieces) => {
          const whole = pieces.join('').replaceAll(token, '*'.repeat(token.length))
          assert.equal(masked(token, pieces).join(''), whole)
        },
      ),
    )
  })

  it('never holds back as much as a token', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 9 })), (pieces) => {
        const masker = createTokenMask(Buffer.from('aabaa')).body()
        let held = 0
        for (const piece of pieces) {
          held += piece.length - masker.write(Buffer.from(piece)).length
          assert.ok(held < 5)
        }
        assert.equal(masker.flush().length, held)
        assert.equal(masker.flush().length, 0)
      }),
    )
  })

  it('does not depend on the chunk after it returned', () => {
    const masker = createTokenMask(Buffer.from(TOKEN)).body()
    const chunk = Buffer.from('see abcab')
    assert.equal(masker.write(chunk).toString(), 'see ')
    chunk.fill('-')
    assert.equal(masker.write(Buffer.from('!')).toString(), 'abcab!')
  })

  it('searches text that is not compressed', () => {
    const text = [
      null,
      'text/plain',
      'Text/Event-Stream; charset=utf-8',
      'application/json;charset=UTF-8',
      'application/problem+json',
    ]
    for (const type of [
      ...text,
      'application/vnd.x.v1+xml',
      'message/http',
      'application/x-www-form-urlencoded',
      'image/svg+xml',
    ]) {
      assert.equal(isMaskable(type, null), true, String(type))
    }
    for (const type of [
      'application/pdf',
      'image/png',
      'application/octet-stream',
      'application/zip',
      'video/mp4',
    ]) {
      assert.equal(isMaskable(type, null), false, type)
    }
    assert.equal(isMaskable('text/plain', 'identity'), true)
    assert.equal(isMaskable('text/plain', 'gzip'), false)
    assert.equal(isMaskable('text/plain', 'identity, br'), false)
  })
})
