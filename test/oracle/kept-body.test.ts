import assert from 'node:assert/strict'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { ReplayMemory } from '../../proxy/relay/replay-buffer.ts'
import { type BodyTerms, KeptBody } from './kept-body.ts'

function kept(source: Readable, change: Partial<BodyTerms> = {}) {
  const memory = change.memory ?? new ReplayMemory(1000)
  let lost = 0
  const body = new KeptBody(source, {
    declaredBytes: null,
    limitBytes: 100,
    memory,
    onLost: () => lost++,
    onProgress: () => {},
    ...change,
  })
  return { body, memory, lost: () => lost }
}

describe('kept bodies', () => {
  it('can be read again from the beginning, before and after all of it came', async () => {
    const source = new PassThrough()
    const { body, memory } = kept(source)
    source.write('first ')
    const reader = body.open()
    assert.equal(String((await reader[Symbol.asyncIterator]().next()).value), 'first ')
    const again = text(body.open())
    source.end('second')
    assert.equal(await again, 'first second')
    assert.equal(reader.destroyed, true)
    assert.equal(await text(body.open()), 'first second')
    assert.equal(body.isComplete, true)
    assert.equal(memory.usedBytes, 12)
    body.discard()
    assert.equal(memory.usedBytes, 0)
  })

  it('go on whole when they outgrow the limit, but cannot be read again', async () => {
    const source = new PassThrough()
    const { body, memory, lost } = kept(source)
    const reading = text(body.open())
    source.write('x'.repeat(100))
    source.end('y')
    assert.equal(await reading, `${'x'.repeat(100)}y`)
    assert.deepEqual([body.isKept, lost(), memory.usedBytes], [false, 1, 0])
    assert.throws(() => body.open(), /no longer kept/)
  })

  it('are not kept when they are announced as too long', async () => {
    const source = new PassThrough()
    const { body, lost } = kept(source, { declaredBytes: 101 })
    assert.equal(body.isKept, false)
    source.end('z'.repeat(101))
    assert.equal((await text(body.open())).length, 101)
    assert.equal(lost(), 0)
  })

  it('share their memory, and the one that finds none left is not kept', async () => {
    const memory = new ReplayMemory(10)
    const [first, second] = [new PassThrough(), new PassThrough()]
    const one = kept(first, { memory })
    const two = kept(second, { memory })
    first.end('seven..')
    second.end('seven..')
    assert.equal(await text(one.body.open()), 'seven..')
    assert.equal(await text(two.body.open()), 'seven..')
    assert.deepEqual([one.body.isKept, two.body.isKept, memory.usedBytes], [true, false, 7])
    one.body.discard()
    two.body.discard()
    assert.equal(memory.usedBytes, 0)
  })

  it('leave the caller unread while the upstream takes nothing', async () => {
    const source = new PassThrough({ highWaterMark: 1000 })
    const { body } = kept(source, { limitBytes: 10_000_000, memory: new ReplayMemory(10_000_000) })
    const reader = body.open()
    for (let at = 0; at < 1000; at++) source.write('x'.repeat(1000))
    reader.read(0)
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(source.readableLength + source.writableLength > 800_000)
  })

  it('need nothing of their source when there is no body', async () => {
    const source = new PassThrough()
    const { body } = kept(source, { declaredBytes: 0 })
    assert.equal(await text(body.open()), '')
    assert.equal(source.listenerCount('readable'), 0)
  })
})
