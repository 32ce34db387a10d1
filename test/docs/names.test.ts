import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { mainVariables, routeVariables } from '../../config/variables.ts'
import { blocksOf, type Page, pages, proseOf } from './pages.ts'

/** Pages for users; decisions and benchmark results speak of what was. */
const forUsers = pages.filter(({ path }) => /^(README\.md|docs\/[\w-]+\.md|sandbox\/|helm\/)/.test(path))

const settings = new Set([
  ...mainVariables(),
  ...routeVariables('N'),
  ...['GLS', 'MY'].flatMap(routeVariables),
])
/** Names that are right, though not ours. */
const ofOthers = new Set([
  // Misspelled on purpose.
  ...['CLIENT_SECRETS', 'UPSTREM_URL'],
  // Of Node, of the system, of the build, of examples.
  ...[
    'NODE_EXTRA_CA_CERTS',
    'MALLOC_ARENA_MAX',
    'XDG_STATE_HOME',
    'BUILD_IMAGE',
    'RUNTIME_IMAGE',
    'CLEAR_URL',
  ],
])

const sources = ['proxy', 'config', 'sandbox', 'helm'].flatMap(sourcesBelow).join('\n')

describe('names in the documents', () => {
  for (const page of forUsers) {
    it(`exist: ${page.path}`, () => {
      const code = [...inlineCode(page), ...commands(page)]
      for (const name of matches(code, /(?<![\w-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?!\w)/g)) {
        const known = settings.has(name) || ofOthers.has(name) || (/^SANDBOX_/.test(name) && isWord(name))
        assert.ok(
          known,
          `${page.path} names ${name}, which is no setting; if it is right, add it to ofOthers`,
        )
      }
      // Codes, events, metrics, members of /status, names of Kubernetes objects.
      for (const name of matches(inlineCode(page), /(?<![\w/.-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?!\w)/g)) {
        assert.ok(
          isWord(name) || ofOthers.has(name),
          `${page.path} names ${name}, which is nowhere in the sources; if it is right, add it to ofOthers`,
        )
      }
    })
  }

  it('are looked for, or this test finds nothing wrong with anything', () => {
    const found = matches(forUsers.flatMap(inlineCode), /\b[a-z]+(?:_[a-z]+)+\b/g)
    for (const name of ['token_unavailable', 'foreign_mint', 'token_sidecar_foreign_mints_total'])
      assert.ok(found.has(name), name)
    assert.ok(!isWord('token_unavailible'))
  })
})

function inlineCode(page: Page): string[] {
  return [...proseOf(page).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)
}

function commands(page: Page): string[] {
  return blocksOf(page).flatMap(({ language, code }) => (language === 'sh' ? [code] : []))
}

function matches(texts: readonly string[], pattern: RegExp): Set<string> {
  return new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([found]) => found)))
}

/** In the sources, as a word of its own; metrics also without what they all begin with. */
function isWord(name: string): boolean {
  return new RegExp(`(?<![A-Za-z0-9_])(?:token_sidecar_)?${name}(?![A-Za-z0-9_])`).test(sources)
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sourcesBelow(path)
    return /\.(ts|yaml|tpl)$/.test(entry.name) ? [readFileSync(path, 'utf8')] : []
  })
}
