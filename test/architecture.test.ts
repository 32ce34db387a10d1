import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'

interface Source {
  readonly path: string
  readonly text: string
  /** Paths of ours that it imports, types included. */
  readonly imports: readonly string[]
}

function sources(folder: string): Source[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sources(path)
    if (!path.endsWith('.ts')) return []
    const text = readFileSync(path, 'utf8')
    const named = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '')
    return [{ path, text, imports: named.map((name) => normalize(join(dirname(path), name))) }]
  })
}

const product = [...sources('proxy'), ...sources('config')]

/** What each part may import besides itself. The most specific row counts. */
const allowed: readonly (readonly [part: string, mayImport: readonly string[]])[] = [
  ['proxy/main.ts', ['proxy/cli/', 'proxy/lib/', 'proxy/ops/line-writer.ts']],
  ['proxy/index.ts', ['proxy/app.ts', 'proxy/lib/', 'config/', 'sandbox/embedded.ts', 'sandbox/faults.ts']],
  ['proxy/cli/', ['proxy/', 'config/', 'sandbox/']],
  ['proxy/app.ts', ['proxy/relay/', 'proxy/ops/', 'proxy/stores/', 'proxy/token/', 'proxy/lib/', 'config/']],
  ['proxy/relay/', ['proxy/token/source.ts', 'proxy/token/token.ts', 'proxy/lib/']],
  ['proxy/ops/', ['proxy/token/status.ts', 'proxy/relay/counters.ts', 'proxy/lib/']],
  ['proxy/stores/', ['proxy/token/store.ts', 'proxy/token/token.ts', 'proxy/lib/']],
  ['proxy/token/', ['proxy/lib/']],
  ['proxy/lib/', []],
  ['config/', ['proxy/lib/']],
]

function partOf(path: string): readonly [string, readonly string[]] {
  const part = allowed.find(([name]) => path.startsWith(name))
  assert.ok(part, `${path} belongs to no part: add it to the table`)
  return part
}

/** Comments and strings may name what code may not. */
function codeOf(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, '')
}

function filesNaming(pattern: RegExp, among: readonly Source[]): string[] {
  return among.filter(({ text }) => pattern.test(codeOf(text))).map(({ path }) => path)
}

describe('the architecture', () => {
  it('lets imports go one way only', () => {
    for (const { path, imports } of product) {
      const [part, mayImport] = partOf(path)
      for (const target of imports) {
        const fine = target.startsWith(part) || mayImport.some((name) => target.startsWith(name))
        assert.ok(fine, `${path} must not import ${target}`)
      }
    }
  })

  it('keeps the sandbox apart, so that a misreading of the API cannot be in both', () => {
    for (const { path, imports } of sources('sandbox')) {
      for (const target of imports)
        assert.ok(target.startsWith('sandbox/'), `${path} must not import ${target}`)
    }
  })

  it('names the process in main.ts only', () => {
    assert.deepEqual(filesNaming(/(?<![\w.])process[.,;)]/, product), ['proxy/main.ts'])
  })

  it('gives the library nothing of the process but what metrics read', () => {
    const imported = product.flatMap(({ path, text }) =>
      [...text.matchAll(/import (.+) from 'node:process'/g)].map(([, names]) => [path, names]),
    )
    assert.deepEqual(imported, [['proxy/index.ts', '{ cpuUsage, memoryUsage, versions }']])
  })

  it('names timers and the time of day in lib/clock.ts only', () => {
    const names = /\b(?:setTimeout|setInterval|setImmediate|Date\.now|performance\.now)\b|new Date\(\)/
    // A socket's own idle timer is no timer of ours.
    const found = product.map((source) => ({
      ...source,
      text: source.text.replaceAll(/\.setTimeout\(/g, '.('),
    }))
    assert.deepEqual(filesNaming(names, found), ['proxy/lib/clock.ts'])
  })

  it('reveals secrets where they leave the process and nowhere else', () => {
    assert.deepEqual(filesNaming(/\breveal\(/, product).sort(), [
      'proxy/lib/secret.ts',
      'proxy/lib/tls.ts',
      'proxy/relay/request-head.ts',
      'proxy/stores/redis-address.ts',
      'proxy/stores/redis-connection.ts',
      'proxy/stores/seal.ts',
      'proxy/token/clear-minter.ts',
    ])
  })

  it('keeps files small enough to hold in one’s head', () => {
    const long = [...product, ...sources('sandbox')].filter(({ text }) => text.split('\n').length > 301)
    assert.deepEqual(
      long.map(({ path }) => path),
      [],
    )
  })
})
