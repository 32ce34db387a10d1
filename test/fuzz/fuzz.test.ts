import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SEED } from '../support/fast-check.ts'
import { fuzzers } from './fuzzers.ts'

/** A few runs of each fuzzer, the same each time. `npm run fuzz` goes on with new ones for as long as it is given. */
describe('fuzzing', () => {
  for (const fuzzer of fuzzers) {
    it(`${fuzzer.name}: ${fuzzer.regressions} inputs that failed once, ${fuzzer.testRuns} at random, seed ${SEED}`, async () => {
      const { failure } = await fuzzer.fuzz(SEED, fuzzer.testRuns)
      assert.equal(failure, null, failure ?? '')
    })
  }
})
