import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseInstant, readTokenAnswer } from '../../proxy/token/token-answer.ts'

describe('valid_till', () => {
  it('is read in every form an ISO instant is written in', () => {
    const expected = Date.UTC(2030, 0, 1, 12, 30)
    for (const text of [
      '2030-01-01T12:30:00+00:00',
      '2030-01-01T12:30:00Z',
      '2030-01-01t12:30:00z',
      '2030-01-01T12:30:00.000000+00:00',
      '2030-01-01T12:30:00',
      '2030-01-01 12:30:00',
      '2030-01-01T12:30Z',
      '2030-01-01T18:00:00+0530',
      '2030-01-01T18:00:00+05:30',
      ' 2030-01-01T12:30:00Z ',
    ]) {
      assert.equal(parseInstant(text), expected, text)
    }
  })

  it('is not guessed', () => {
    for (const text of [
      '',
      'never',
      '2030',
      '2030-13-01T00:00:00Z',
      '01/02/2030',
      1893456000,
      null,
      {},
      [],
    ]) {
      assert.equal(parseInstant(text), null, String(text))
    }
  })
})

describe('the body of a 200', () => {
  it('is read behind a byte order mark too', () => {
    const answer = readTokenAnswer('\uFEFF{"access_token":"tok-1","valid_till":null}')
    assert.equal(answer?.value.reveal(), 'tok-1')
  })
})
