import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hostile, plain } from '../fuzz/request-corpus.ts'
import { both, judge } from '../fuzz/request-oracle.ts'

/** What is mutated of these is in test/fuzz/requests.ts. */
describe('the relay beside node:http’s strict parser', () => {
  it('forwards what is plain, whole and in order', async () => {
    for (const text of plain) {
      const result = await both(text)
      judge(text, result)
      assert.ok(result.behind.length === result.direct.length && result.behind.length > 0, text)
    }
  })

  it('forwards nothing that Node would not have read the same way', async () => {
    for (const text of hostile) judge(text, await both(text))
  })

  it('never executes what is hidden in a body or behind what it refuses', async () => {
    for (const text of hostile.filter((candidate) => !candidate.startsWith('GET'))) {
      const { direct, behind } = await both(text)
      const [own, other] = [direct, behind].map((seen) => seen.filter(({ url }) => url === '/hidden').length)
      assert.ok((other as number) <= (own as number), JSON.stringify(text))
    }
  })
})
