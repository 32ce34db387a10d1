import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../proxy/lib/secret.ts'
import { SecretFile } from '../../proxy/token/secret-file.ts'

/** A secret file whose content the test sets; null = it cannot be read. */
function fileOf(content: string | null) {
  const seen = { content, changes: [] as string[], events: [] as string[] }
  const note = (event: string) => void seen.events.push(event)
  const file = new SecretFile({
    path: '/run/secret',
    current: new Secret('first'),
    readFile: async () => {
      if (seen.content === null) throw Object.assign(new Error('gone'), { code: 'ENOENT' })
      return seen.content
    },
    log: { debug: note, info: note, warn: note, error: note },
    changed: (secret) => seen.changes.push(secret.reveal()),
  })
  return { file, seen }
}

const contents: [title: string, content: string | null, change: string | null, event?: string][] = [
  ['the same content', 'first', null],
  ['the same content with a line end', 'first\r\n', null],
  ['other content', 'second', 'second'],
  ['other content between blanks', '  second\n', 'second'],
  ['an empty file, as one that is being written', '\n', null],
  ['no file, as one that is being replaced', null, null, 'secret_file_unreadable'],
  ['content that no header can carry', 'two\nlines', null, 'secret_file_invalid'],
]

for (const [title, content, change, event] of contents) {
  test(`${title}: ${change === null ? 'nothing changes' : 'the secret changes'}`, async () => {
    const { file, seen } = fileOf(content)
    await file.check()
    assert.deepEqual(seen.changes, change === null ? [] : [change])
    assert.deepEqual(seen.events, event === undefined ? [] : [event])
  })
}

test('a change is told once, and a change back is a change', async () => {
  const { file, seen } = fileOf('second')
  await file.check()
  await file.check()
  seen.content = 'first'
  await file.check()
  assert.deepEqual(seen.changes, ['second', 'first'])
})

test('a file that stays unreadable is warned of once, and again after it had been readable', async () => {
  const { file, seen } = fileOf(null)
  await file.check()
  await file.check()
  seen.content = 'first'
  await file.check()
  seen.content = null
  await file.check()
  assert.deepEqual(seen.events, ['secret_file_unreadable', 'secret_file_unreadable'])
})

test('content that no header can carry is told of once for each content, not each second', async () => {
  const { file, seen } = fileOf('two\nlines')
  await file.check()
  await file.check()
  assert.deepEqual(seen.events, ['secret_file_invalid'])
  seen.content = 'three\nmore\nlines'
  await file.check()
  assert.equal(seen.events.length, 2)
})

test('a read that hangs is not joined by another: of two, the older content could come last', async () => {
  const reads: ((text: string) => void)[] = []
  const changes: string[] = []
  const file = new SecretFile({
    path: '/run/secret',
    current: new Secret('first'),
    readFile: () => new Promise((resolve) => reads.push(resolve)),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    changed: (secret) => changes.push(secret.reveal()),
  })
  const checks = [file.check(), file.check(), file.check()]
  assert.equal(reads.length, 1)
  reads[0]?.('second')
  await Promise.all(checks)
  assert.deepEqual(changes, ['second'])
  const next = file.check()
  assert.equal(reads.length, 2)
  reads[1]?.('third')
  await next
  assert.deepEqual(changes, ['second', 'third'])
})
