import { fc } from '../support/fast-check.ts'
import { type Mutation, mutated, mutations } from './mutations.ts'
import { hostile, plain } from './request-corpus.ts'
import { both, judge } from './request-oracle.ts'
import { fuzzer } from './target.ts'

/** Bytes of a caller, mutated and cut; see request-oracle.ts. */
interface Input {
  readonly text: string
  readonly changes: readonly Mutation[]
  readonly cuts: readonly number[]
}

const inputs: fc.Arbitrary<Input> = fc.record({
  text: fc.constantFrom(...[...plain, ...hostile].filter((text) => !text.includes('Upgrade:'))),
  changes: mutations(3, 400),
  cuts: fc.array(fc.nat(500), { maxLength: 4 }),
})

export const requests = fuzzer<Input>({
  name: 'requests',
  inputs,
  regressions: [],
  testRuns: 200,
  async run({ text, changes, cuts }) {
    const changed = mutated(text, changes)
    judge(changed, await both(changed, cuts))
  },
})
