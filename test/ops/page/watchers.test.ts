import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, it } from 'node:test'
import type { Response } from 'express'
import { html } from '../../../proxy/ops/html.ts'
import type { Part } from '../../../proxy/ops/page/parts.ts'
import { MOST_MISSED, Watchers } from '../../../proxy/ops/page/watchers.ts'

/** An answer whose reader takes what was written when the test says so. */
class SlowAnswer extends Writable {
  #take = () => {}
  readonly written: string[] = []

  constructor() {
    super({ highWaterMark: 200, decodeStrings: false })
  }

  set(): this {
    return this
  }

  flushHeaders(): void {}

  override _write(text: string, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(text)
    this.#take = done
  }

  /** The reader takes everything that is under way. */
  async read(): Promise<void> {
    while (this.writableLength > 0) {
      this.#take()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  get asResponse(): Response {
    return this as unknown as Response
  }
}

function parts(changing: string): Part[] {
  const still = { id: 'still', html: html`<p id="still">${'x'.repeat(100)}</p>` }
  return [still, { id: 'changing', html: html`<p id="changing">${changing}</p>` }]
}

function idsIn(event: string | undefined): string[] {
  const data = /^event: parts\ndata: (.*)\n\n$/.exec(event ?? '')?.[1] ?? '{"parts":{}}'
  return Object.keys(JSON.parse(data).parts)
}

describe('pages that watch', () => {
  it('get all parts first, then those that have changed', async () => {
    const watchers = new Watchers()
    const answer = new SlowAnswer()
    watchers.add(answer.asResponse, () => {})
    for (const changing of ['a', 'b']) {
      watchers.send('edition', parts(changing))
      await answer.read()
    }
    assert.deepEqual(answer.written[0], 'retry: 2000\n\n')
    assert.deepEqual(answer.written.slice(1).map(idsIn), [['still', 'changing'], ['changing']])
  })

  it('are sent nothing while they do not read, then all parts at once', async () => {
    const watchers = new Watchers()
    const slow = new SlowAnswer()
    const quick = new SlowAnswer()
    for (const answer of [slow, quick]) watchers.add(answer.asResponse, () => {})
    for (const changing of ['a', 'b', 'c', 'd']) {
      watchers.send('edition', parts(changing))
      await quick.read()
    }
    const kept = slow.writableLength
    assert.ok(kept < 600, `${kept} characters`)
    await slow.read()
    watchers.send('edition', parts('e'))
    await slow.read()
    assert.deepEqual(slow.written.slice(1).map(idsIn), [
      ['still', 'changing'],
      ['still', 'changing'],
    ])
    assert.match(slow.written.at(-1) ?? '', />e</)
    assert.equal(quick.written.length, 6)
  })

  it('lose their place when they have not read for a minute', async () => {
    const watchers = new Watchers()
    const gone = new SlowAnswer()
    const left = new Promise<void>((resolve) => watchers.add(gone.asResponse, resolve))
    for (let second = 0; second < MOST_MISSED; second++) watchers.send('edition', parts(String(second)))
    assert.equal(gone.destroyed, false)
    watchers.send('edition', parts('last'))
    await left
    assert.equal(gone.destroyed, true)
    assert.equal(watchers.size, 0)
  })
})
