import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { problems } from '../proxy/lib/errors.ts'

const operations = readFileSync('docs/operations.md', 'utf8')

function productSources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory()
      ? productSources(path)
      : path.endsWith('.ts')
        ? [readFileSync(path, 'utf8')]
        : []
  })
}

describe('the documents', () => {
  it('have a section for every code a caller can see', () => {
    for (const code of Object.keys(problems)) assert.match(operations, new RegExp(`^### ${code}$`, 'm'))
  })

  it('name every request that the ops address answers', () => {
    const paths = [
      ...readFileSync('proxy/ops/app.ts', 'utf8').matchAll(/^ +(?:get|post)\(\s*app,\s*'(\/\w*)'/gm),
    ]
    assert.ok(paths.length > 7)
    for (const [, path] of paths) assert.match(operations, new RegExp(`^\\| \`(GET|POST) ${path}\` \\|`, 'm'))
  })

  it('name every log event above debug', () => {
    const told = productSources('proxy').flatMap((text) => [
      ...text.matchAll(/log\.(?:info|warn|error)\(\s*'(\w+)'/g),
      ...text.matchAll(/\bevent: '(\w+)'/g),
      ...text.matchAll(/new Outage\([^)]*'(\w+)'\)/g),
    ])
    const events = new Set(told.map((match) => match[1]))
    assert.ok(events.size > 10)
    for (const event of events)
      assert.ok(operations.includes(`\`${event}\``), `docs/operations.md does not name ${event}`)
  })
})
