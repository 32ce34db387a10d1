import assert from 'node:assert/strict'
import { clockOffset } from '../../proxy/token/clear-minter.ts'
import { readErrorId, readTokenAnswer } from '../../proxy/token/token-answer.ts'
import { fc } from '../support/fast-check.ts'
import { type Mutation, mutated, mutations } from './mutations.ts'
import { fuzzer } from './target.ts'

interface Input {
  readonly body: string
  readonly changes: readonly Mutation[]
  readonly date: string
}

const texts = fc.oneof(
  fc.constantFrom(
    'token',
    '',
    ' ',
    'a'.repeat(256),
    'a'.repeat(5_000),
    'a b',
    'a\r\nx: y',
    '2030-01-01T00:00:00+00:00',
    '2030-01-01 00:00:00.123456789',
    '2030-01-01T00:00:00+99:99',
    '+275760-09-13T00:00:00Z',
    '0000-00-00T00:00:00Z',
    '9999-12-31T24:00:00-2359',
    'Fri, 31 Dec 2029 23:59:59 GMT',
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
)
const scalar = fc.oneof(texts, fc.double(), fc.boolean(), fc.constant(null))
const errors = fc.array(
  fc.oneof(scalar, fc.record({ error_id: scalar, error_code: scalar, error_message: scalar })),
  { maxLength: 3 },
)
const json = fc.oneof(
  fc.record(
    {
      access_token: fc.oneof({ weight: 3, arbitrary: texts }, fc.jsonValue()),
      'access-token': fc.oneof(texts, fc.jsonValue()),
      valid_till: fc.oneof({ weight: 3, arbitrary: texts }, fc.jsonValue()),
      errors: fc.oneof(errors, fc.jsonValue()),
    },
    { requiredKeys: [] },
  ),
  fc.jsonValue(),
)
const inputs: fc.Arbitrary<Input> = fc.record({
  body: fc.oneof(
    { weight: 5, arbitrary: json.map((value) => JSON.stringify(value)) },
    fc.string({ unit: 'binary' }),
    fc.nat(5_000).map((depth) => '['.repeat(depth)),
  ),
  changes: fc.oneof(
    fc.constant([]),
    mutations(3, 200, ['"', '{', '}', ',', ':', '\\', '\0', '\ud800', '1e999']),
  ),
  date: texts,
})

function run({ body, changes, date }: Input): void {
  const text = mutated(body, changes)
  const answer = readTokenAnswer(text)
  if (answer !== null) {
    // What is taken for a token can be sent as one.
    assert.match(answer.value.reveal(), /^[\x21-\x7e]{1,4096}$/)
    assert.ok(answer.validTill === null || Number.isSafeInteger(answer.validTill), String(answer.validTill))
    assert.ok(!(answer.validTill !== null && answer.validTillUnreadable))
    assert.equal(JSON.parse(JSON.stringify(answer)).value, '[redacted]')
  }
  const errorId = readErrorId(text)
  if (errorId !== undefined) assert.match(errorId, /^[\w.:-]{1,128}$/)
  const offsetMs = clockOffset(date, 0, 100)
  assert.ok(Number.isFinite(offsetMs), String(offsetMs))
}

export const tokenAnswers = fuzzer<Input>({
  name: 'token-answers',
  inputs,
  regressions: [],
  testRuns: 3_000,
  run,
})
