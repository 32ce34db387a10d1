import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

const model = readFileSync('SECURITY.md', 'utf8')
const threats = model.slice(model.indexOf('\n## Threats'), model.indexOf('\n## Sealed entries'))

/** Rows of the tables, cells trimmed; the head of each table and the line below it are none. */
const rows = threats
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (?:---|it tries to) /.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  )

/** A title as the source of a test has it: in whichever quotes, with what is in them escaped. */
const unescaped = (text: string) => text.replaceAll(/\\(['"`])/g, '$1')

describe('the threat model', () => {
  it('names for each threat a control and a test that shows it', () => {
    assert.ok(rows.length > 20)
    for (const cells of rows) {
      assert.equal(cells.length, 3, cells.join(' | '))
      for (const cell of cells) assert.notEqual(cell, '')
      assert.match(cells[2] ?? '', /`test\/[\w./-]+\.ts`/, cells[0])
    }
  })

  it('names only tests that exist', () => {
    for (const [, , tests = ''] of rows) {
      for (const [, path = '', title] of tests.matchAll(/`(test\/[^`]+)`(?: “([^”]+)”)?/g)) {
        assert.ok(existsSync(path), path)
        if (title === undefined) continue
        const source = unescaped(readFileSync(path, 'utf8'))
        const found = ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`))
        assert.ok(found, `${path} has no test with the title ${title}`)
      }
    }
  })

  it('says where to report a vulnerability, with nothing left to fill in', () => {
    assert.match(model, /Security → Report a vulnerability/)
    assert.doesNotMatch(model, /\$\{|@[\w-]+\.\w/)
  })
})
