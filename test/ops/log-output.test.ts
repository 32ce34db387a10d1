import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LogOutput } from '../../proxy/ops/log-output.ts'
import { FakeClock } from '../support/fake-clock.ts'

function outputFor() {
  const clock = new FakeClock()
  const reader = { writes: [] as string[], reads: true }
  const output = new LogOutput({
    clock,
    write(text) {
      if (reader.reads) reader.writes.push(text)
      return reader.reads
    },
    droppedLine: (lines) => `dropped ${lines}\n`,
  })
  return { clock, reader, output }
}

describe('the way out of the log', () => {
  it('lets lines about calls wait a moment, and writes them together', async () => {
    const { clock, reader, output } = outputFor()
    for (const line of ['a\n', 'b\n', 'c\n']) output.add(line)
    await clock.advance(99)
    assert.deepEqual(reader.writes, [])
    await clock.advance(1)
    assert.deepEqual(reader.writes, ['a\nb\nc\n'])
    assert.equal(clock.pending, 0)
  })

  it('keeps the order: another line takes along what waits, and leaves at once', () => {
    const { clock, reader, output } = outputFor()
    output.add('call\n')
    output.write('event\n')
    assert.deepEqual(reader.writes, ['call\n', 'event\n'])
    assert.equal(clock.pending, 0)
  })

  it('never lets more wait than 16 KiB and a line', () => {
    const { reader, output } = outputFor()
    for (let count = 0; count < 1000; count++) output.add(`${'x'.repeat(99)}\n`)
    assert.ok(reader.writes.length >= 5)
    for (const text of reader.writes) assert.ok(text.length <= 16_384 + 100, String(text.length))
  })

  it('counts what the reader does not take, and tells it when it takes again', () => {
    const { reader, output } = outputFor()
    reader.reads = false
    for (const line of ['a\n', 'b\n']) output.add(line)
    output.write('event\n')
    assert.equal(output.dropped, 3)
    output.write('event\n')
    reader.reads = true
    output.write('again\n')
    output.write('and again\n')
    assert.deepEqual(reader.writes, ['dropped 4\n', 'again\n', 'and again\n'])
    assert.equal(output.dropped, 0)
  })
})
