import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isUsable, refreshAt } from '../../proxy/token/token.ts'
import { HOUR, MINUTE, NOON, SECOND, tokenOf } from './machine-driver.ts'

const refreshes: [title: string, lifeMs: number | null, leadMs: number | null, beforeEndMs: number | null][] =
  [
    ['a token that never expires is never refreshed', null, null, null],
    ['a set lead does not make a token expire that never does', null, MINUTE, null],
    ['by default a token of an hour is replaced five minutes before its end', HOUR, null, 5 * MINUTE],
    ['by default a token of a day is replaced five minutes before its end', 24 * HOUR, null, 5 * MINUTE],
    ['by default a token of ten minutes is replaced at nine tenths of its life', 10 * MINUTE, null, MINUTE],
    ['by default a token of two seconds is replaced at nine tenths of its life', 2 * SECOND, null, 200],
    ['a set lead holds', HOUR, 20 * MINUTE, 20 * MINUTE],
    ['a lead of nothing replaces the token when it ends', HOUR, 0, 0],
    ['a set lead is capped at half the life', 10 * MINUTE, HOUR, 5 * MINUTE],
    ['a token that arrived expired is due at its end', -MINUTE, null, 0],
    ['a token that arrived expired is due at its end, whatever the lead', -MINUTE, HOUR, 0],
  ]

for (const [title, lifeMs, leadMs, beforeEndMs] of refreshes) {
  test(title, () => {
    const validTill = lifeMs === null ? null : NOON + lifeMs
    const expected = beforeEndMs === null || validTill === null ? null : validTill - beforeEndMs
    assert.equal(refreshAt(tokenOf(1, { validTill, mintedAt: NOON }), leadMs), expected)
  })
}

const uses: [title: string, validTill: number | null, usable: boolean][] = [
  ['a token may be used until its last millisecond', NOON + 1, true],
  ['a token may not be used from the instant it ends', NOON, false],
  ['a token that never expires may always be used', null, true],
]

for (const [title, validTill, usable] of uses) {
  test(title, () => assert.equal(isUsable(tokenOf(1, { validTill }), NOON), usable))
}
