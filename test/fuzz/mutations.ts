import { fc } from '../support/fast-check.ts'

/** Characters on which parsers of HTTP disagree. */
export const TELLING = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ',',
  ';',
  '0',
  '1',
  'f',
  'x',
  '-',
  '_',
  '/',
  '.',
  '%',
  '#',
  '\x0b',
  '\x7f',
  '\xff',
]

export interface Mutation {
  readonly at: number
  readonly drop: number
  readonly insert: string
}

/** A few small changes anywhere in a text of about `length` characters; `inserts` are what is put in. */
export function mutations(
  most: number,
  length: number,
  inserts: readonly string[] = TELLING,
): fc.Arbitrary<readonly Mutation[]> {
  const mutation = fc.record({
    at: fc.nat(length),
    drop: fc.integer({ min: 0, max: 3 }),
    insert: fc.oneof(fc.constantFrom(...inserts), fc.constant('')),
  })
  return fc.array(mutation, { maxLength: most })
}

export function mutated(text: string, changes: readonly Mutation[]): string {
  return changes.reduce((before, { at, drop, insert }) => {
    const position = at % (before.length + 1)
    return before.slice(0, position) + insert + before.slice(position + drop)
  }, text)
}

/** The text in pieces, cut at the places named; all of it in one piece without any. */
export function cutAt(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...ends, bytes.length].map((end, at) => bytes.subarray(at === 0 ? 0 : ends[at - 1], end))
}
