import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { type Page, pages, proseOf } from './pages.ts'

describe('links in the documents', () => {
  for (const page of pages) {
    const targets = linksOf(page)
    it(`lead somewhere: the ${targets.length} of ${page.path}`, () => {
      for (const target of targets) assert.equal(problemWith(page, target), null)
    })
  }

  it('are found, anchors too, or this test finds nothing wrong with anything', () => {
    const page = { path: 'docs/x.md', text: '# A\n[a](#a) [b](#b)\n```sh\n[c](#c)\n```\n![d](none.svg)\n' }
    assert.deepEqual(linksOf(page), ['#a', '#b', 'none.svg'])
    assert.equal(problemWith(page, '#a'), null)
    assert.match(String(problemWith(page, '#b')), /no heading b/)
    assert.match(String(problemWith(page, 'none.svg')), /no file/)
    assert.match(String(problemWith(page, 'operations.md#nothing')), /no heading/)
  })
})

describe('pages for users', () => {
  it('are all reached from the README, in two steps at most', () => {
    const reached = new Set(['README.md'])
    for (let step = 0; step < 2; step++) {
      for (const page of pages.filter(({ path }) => reached.has(path))) {
        for (const target of linksOf(page)) {
          reached.add(normalize(join(dirname(page.path), target.split('#')[0] ?? '')))
        }
      }
    }
    const forUsers = pages.filter(({ path }) => /^(docs\/[\w-]+|(helm|sandbox)\/.+)\.md$/.test(path))
    for (const { path } of forUsers) assert.ok(reached.has(path), `no way leads to ${path}`)
  })
})

describe('pictures in the documents', () => {
  for (const path of pages.flatMap(picturesOf).filter((each, at, all) => all.indexOf(each) === at)) {
    it(`can be read aloud, and in the dark: ${path}`, () => {
      const svg = readFileSync(path, 'utf8')
      assert.match(svg, /role="img" aria-labelledby="title desc"/)
      assert.match(svg, /<title id="title">.+<\/title>/)
      assert.match(svg, /<desc id="desc">.+<\/desc>/)
      assert.match(svg, /prefers-color-scheme: dark/)
      // Other than its namespace it names no address, so nothing is fetched and nothing runs.
      assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|href=/)
    })
  }
})

function linksOf(page: Page): string[] {
  const links = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  return links.filter((target) => !/^(https?|mailto):/.test(target))
}

function picturesOf(page: Page): string[] {
  return linksOf(page)
    .filter((target) => /images\/.+\.svg$/.test(target))
    .map((target) => normalize(join(dirname(page.path), target)))
}

function problemWith(page: Page, target: string): string | null {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? page.path : normalize(join(dirname(page.path), file))
  const text = file === '' ? page.text : null
  if (text === null && !existsSync(path)) return `${page.path}: no file ${path}`
  if (anchor === undefined) return null
  return anchorsOf(text ?? readFileSync(path, 'utf8')).has(anchor)
    ? null
    : `${page.path}: no heading ${anchor} in ${path}`
}

/** Headings by the names that forges give them. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of proseOf({ path: '', text }).matchAll(/^#{1,6} (.+)$/gm)) {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = plain.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  return anchors
}
