import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Entry, emptyEntry, parseEntry } from '../../proxy/stores/entry.ts'

const entry: Entry = {
  generation: 3,
  sealed: 'v1.abc',
  requests: { day: '2026-11-22', count: 12 },
  epoch: 7,
  lease: { holder: 'a', epoch: 7, durationMs: 8_000, announced: true },
}

describe('an entry read from JSON', () => {
  it('is what was written', () => {
    for (const written of [entry, emptyEntry, { ...entry, lease: null }])
      assert.deepEqual(parseEntry(JSON.parse(JSON.stringify(written))), written)
  })

  it('leaves out what a later version added', () => {
    assert.deepEqual(parseEntry({ ...entry, color: 'blue', lease: { ...entry.lease, color: 'red' } }), entry)
  })

  it('is none when anything it needs is missing or of another kind', () => {
    const broken: unknown[] = [
      null,
      undefined,
      'text',
      7,
      [],
      {},
      { ...entry, generation: -1 },
      { ...entry, generation: 1.5 },
      { ...entry, generation: '3' },
      { ...entry, sealed: null },
      { ...entry, epoch: 2 ** 53 },
      // One more of these would not be read any more, and the token would be lost.
      { ...entry, epoch: 2 ** 53 - 1 },
      { ...entry, generation: 2 ** 53 - 1 },
      { ...entry, requests: { ...entry.requests, count: 2 ** 53 - 1 } },
      { ...entry, requests: null },
      { ...entry, requests: { day: 20261122, count: 1 } },
      { ...entry, requests: { day: '2026-11-22', count: Number.NaN } },
    ]
    for (const json of broken) assert.equal(parseEntry(json), null, JSON.stringify(json))
  })

  it('has no lease when what stands there is none', () => {
    for (const lease of [
      null,
      undefined,
      'a',
      {},
      { ...entry.lease, durationMs: -1 },
      { ...entry.lease, holder: 1 },
      // Waiting this one out would take a century.
      { ...entry.lease, durationMs: 3e12 },
    ])
      assert.equal(parseEntry({ ...entry, lease })?.lease, null)
  })
})
