import assert from 'node:assert/strict'
import { Secret } from '../../proxy/lib/secret.ts'
import { type Entry, type EntryMedium, emptyEntry, parseEntry } from '../../proxy/stores/entry.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import type { Token } from '../../proxy/token/token.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { fc } from '../support/fast-check.ts'
import { type Mutation, mutated, mutations } from './mutations.ts'
import { fuzzer } from './target.ts'

/** A record as damage, another version or another program may leave it. */
interface Input {
  /** The fields of a record; `sealed` true stands for a token that was sealed for generation 3. */
  readonly record: unknown
  readonly changes: readonly Mutation[]
}

const sealer = createSealer(new Secret('client-secret'), new URL('https://api.test/token'))
const TOKEN: Token = { value: new Secret('kept-token'), validTill: null, mintedAt: 0, generation: 3 }
const sealedToken = sealer.seal(TOKEN)
/** No store may keep others from minting for longer: the longest lease that settings allow. */
const LONGEST_LEASE_MS = 49 * 24 * 60 * 60_000
const DAY = '2026-11-22'

const count = fc.oneof(
  fc.nat(5),
  fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 1e300, Number.MAX_VALUE),
)
const odd = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom('__proto__', '', null, []))
const often = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 8, arbitrary }, odd)
const record = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record(
      {
        generation: often(fc.oneof(fc.constant(3), count)),
        sealed: often(fc.oneof(fc.constantFrom(sealedToken, ''), fc.string())),
        requests: often(
          fc.record({
            day: often(fc.constantFrom(DAY, '2026-11-23', '2999-01-01', '', 'x')),
            count: often(count),
          }),
        ),
        epoch: often(count),
        lease: often(
          fc.record({
            holder: often(fc.constantFrom('other', 'me', '')),
            epoch: often(count),
            durationMs: often(count),
            announced: often(fc.boolean()),
          }),
        ),
      },
      { noNullPrototype: true },
    ),
  },
  odd,
)
const inputs: fc.Arbitrary<Input> = fc.record({
  record,
  changes: fc.oneof(
    fc.constant([]),
    mutations(2, 300, ['"', '{', '}', ',', ':', '\\', '-', 'e9', '9999999']),
  ),
})

/** Keeps text, as files, Redis and Secrets do. */
class TextMedium implements EntryMedium {
  readonly kind = 'text'
  text: string

  constructor(text: string) {
    this.text = text
  }

  async read(): Promise<Entry> {
    try {
      return parseEntry(JSON.parse(this.text)) ?? emptyEntry
    } catch {
      return emptyEntry
    }
  }

  async update(_key: string, change: (entry: Entry) => Entry | null): Promise<Entry> {
    const found = await this.read()
    const changed = change(found)
    if (changed === null) return found
    this.text = JSON.stringify(changed)
    return changed
  }

  watch(): () => void {
    return () => {}
  }

  async close(): Promise<void> {}
}

async function run({ record, changes }: Input): Promise<void> {
  const text = mutated(JSON.stringify(record), changes)
  const medium = new TextMedium(text)
  const clock = new FakeClock()
  const store = new EntryTokenStore(medium, sealer, clock, 'me')
  const { signal } = new AbortController()

  const found = await store.read(signal)
  // Only what was sealed with the secret is ever a token, and only under the generation it was sealed for.
  if (found.token !== null) assert.equal(found.token.value.reveal(), 'kept-token')
  if (found.token !== null) assert.equal(found.token.generation, 3)

  // Whatever was there: a mint is possible once a lease had time to run out, and its token can be read back.
  let lease = await store.acquire(8_000, signal)
  if (lease === null) {
    await clock.suspend(LONGEST_LEASE_MS)
    lease = await store.acquire(8_000, signal)
  }
  assert.ok(lease !== null, `nobody may ever mint again after ${text}`)
  const used = await lease.begin(DAY, signal)
  assert.ok(Number.isSafeInteger(used) && used >= 1, `${used} requests counted after ${text}`)
  const generation = (lease.state.token?.generation ?? 0) + 1
  const minted = { value: new Secret('minted-token'), validTill: null, mintedAt: 1, generation }
  assert.equal(await lease.publish(minted, signal), true, `publishing failed after ${text}`)
  const after = await store.read(signal)
  assert.equal(after.token?.value.reveal(), 'minted-token', `the token is lost after ${text}`)
  assert.equal(after.requests.count, used)
  assert.equal(after.rotating, false)
}

function damaged(fields: Partial<Entry>): Input {
  return { record: { ...emptyEntry, ...fields }, changes: [] }
}

export const storeRecords = fuzzer<Input>({
  name: 'store-records',
  inputs,
  regressions: [
    damaged({ epoch: 2 ** 53 - 1, requests: { day: DAY, count: 2 ** 53 - 1 } }),
    damaged({ generation: 2 ** 53 - 1 }),
    damaged({ lease: { holder: 'other', epoch: 1, durationMs: 2 ** 53 - 1, announced: true } }),
  ],
  testRuns: 2_000,
  run,
})
