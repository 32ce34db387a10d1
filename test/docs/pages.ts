import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A Markdown file of the repository. */
export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
}

/** A fenced block of code. */
export interface Block {
  readonly language: string
  readonly code: string
  /** What `<!-- not run by the tests: … -->` before it says. */
  readonly notRun: string | null
}

const NOT_OURS = new Set(['node_modules', 'dist', '.git', 'coverage'])

/** Every Markdown file there is. */
export const pages: readonly Page[] = markdownBelow('.').map((path) => ({
  path,
  text: readFileSync(path, 'utf8'),
}))

export function pageAt(path: string): Page {
  const page = pages.find((candidate) => candidate.path === path)
  if (page === undefined) throw new Error(`there is no ${path}`)
  return page
}

export function blocksOf({ text }: Page): Block[] {
  const fenced = /^(?:<!-- not run by the tests: (.+?) -->\n)?```(\w*)\n([\s\S]*?)^```$/gm
  return [...text.matchAll(fenced)].map(([, notRun = null, language = '', code = '']) => ({
    language,
    code,
    notRun,
  }))
}

/** What a reader takes for prose: the text without blocks of code. */
export function proseOf({ text }: Page): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

function markdownBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (NOT_OURS.has(entry.name)) return []
    if (entry.isDirectory()) return markdownBelow(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}
