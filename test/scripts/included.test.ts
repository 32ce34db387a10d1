import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { withIncluded } from '../../scripts/included.ts'

describe('what a page takes from elsewhere', () => {
  it('is an example, whole, whatever was there before', () => {
    const page = 'Before:\n\n<!-- docs/examples/node-after.mjs -->\n```js\nold\n```\n\nThen\n'
    const example = readFileSync('docs/examples/node-after.mjs', 'utf8')
    const expected = `Before:\n\n<!-- docs/examples/node-after.mjs -->\n\`\`\`js\n${example}\`\`\`\n\nThen\n`
    assert.equal(withIncluded(page), expected)
    assert.equal(withIncluded(expected), expected)
  })

  it('is the cost of a call as last measured', () => {
    const page = withIncluded('<!-- figures -->\nold\n<!-- end of figures -->')
    const [, measured = ''] = /## small-32[\s\S]*?\| token-sidecar \| ([\d.]+)/.exec(
      readFileSync('bench/results/latest.md', 'utf8'),
    ) as RegExpExecArray
    assert.ok(page.includes(`costs ${Math.round(Number(measured))} µs`), page)
    assert.ok(!page.includes('old'))
  })

  it('is nothing else: other blocks of code stay as they are', () => {
    const page = '```sh\nls\n```\n<!-- a comment -->\n```js\n1\n```\n'
    assert.equal(withIncluded(page), page)
  })

  it('must exist', () => {
    assert.throws(() => withIncluded('<!-- docs/examples/none.mjs -->\n```js\n```'), { code: 'ENOENT' })
  })
})
