import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../sandbox', import.meta.url))
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)

describe('sandbox sources', () => {
  it('import Node and each other alone, so that no misreading of the API can be shared with the proxy', () => {
    assert.ok(files.length > 10)
    for (const name of files) {
      const path = resolve(folder, name)
      for (const [, module = ''] of readFileSync(path, 'utf8').matchAll(
        /(?:from|import)\s*\(?\s*'([^']+)'/g,
      )) {
        if (module.startsWith('node:')) continue
        const target = resolve(dirname(path), module)
        assert.ok(module.startsWith('.') && target.startsWith(`${folder}/`), `${name} imports ${module}`)
      }
    }
  })

  it('name timers and the wall clock in clock.ts alone, and process nowhere', () => {
    for (const name of files) {
      const code = readFileSync(resolve(folder, name), 'utf8')
      assert.doesNotMatch(code, /\bprocess\.|node:process/, name)
      if (name === 'clock.ts') continue
      assert.doesNotMatch(code, /\bset(Timeout|Interval|Immediate)\b|\bDate\.now\b|\bperformance\b/, name)
    }
  })
})
