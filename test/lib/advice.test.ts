import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { adviceFor, advised } from '../../proxy/lib/advice.ts'
import { mintErrorCodes, problems } from '../../proxy/lib/errors.ts'

/** Events that tell of what went as it should, or carry a code that has advice of its own. */
const NEED_NONE = new Set([
  'started',
  'draining',
  'stopped',
  'token_minted',
  'token_adopted',
  'secret_changed',
  'rotate_requested',
  'quit_requested',
  'call',
  'mint_failed',
])

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sourcesBelow(path)
    return path.endsWith('.ts') ? [readFileSync(path, 'utf8')] : []
  })
}

describe('the advice', () => {
  it('covers every code of an answer and of a failed mint', () => {
    for (const code of [...Object.keys(problems), ...mintErrorCodes]) assert.ok(adviceFor(code), code)
  })

  it('covers every warning and error of the log', () => {
    const events = sourcesBelow('proxy').flatMap((text) =>
      [
        ...text.matchAll(/log\.(?:warn|error)\(\s*'(\w+)'/g),
        ...text.matchAll(/\bevent: '(\w+)'/g),
        ...text.matchAll(/new Outage\([^)]*'(\w+)'\)/g),
      ].map((match) => match[1] ?? ''),
    )
    assert.ok(events.includes('store_watch_failed') && events.includes('foreign_mint'))
    for (const event of events) if (!NEED_NONE.has(event)) assert.ok(adviceFor(event), event)
  })

  it('is sentences in ASCII that say what to do, and phrases for causes', () => {
    for (const [code, { meaning, causes, next }] of Object.entries(advised)) {
      for (const text of [meaning, next, ...causes]) assert.match(text, /^[\x20-\x7e]{5,}$/, code)
      for (const text of [meaning, next]) assert.match(text, /^\S.*\.$/, code)
      for (const cause of causes) assert.doesNotMatch(cause, /^ |\.$/, code)
    }
  })

  it('leads to a section of docs/operations.md', () => {
    const page = readFileSync('docs/operations.md', 'utf8')
    const anchors = new Set([...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title?.toLowerCase()))
    for (const code of Object.keys(advised)) {
      const [file, anchor] = (adviceFor(code)?.help ?? '').split('#')
      assert.equal(file, 'docs/operations.md')
      assert.ok(anchors.has(anchor), code)
    }
  })

  it('is not given for what needs none, nor for names that every object has', () => {
    for (const code of ['token_minted', 'constructor', '__proto__', '']) assert.equal(adviceFor(code), null)
  })
})
