import { readFileSync } from 'node:fs'
import { eventAdvice } from '../proxy/lib/advice/of-events.ts'
import { mintAdvice } from '../proxy/lib/advice/of-mints.ts'
import { problemAdvice } from '../proxy/lib/advice/of-problems.ts'
import { advised, helpFor } from '../proxy/lib/advice.ts'
import { problems } from '../proxy/lib/errors.ts'
import { metricsTable } from './operations-metrics.ts'

const PAGE = helpFor('').replace(/#.*$/, '')

/** The page with its contents, codes and metrics written anew, each between a pair of marks; the rest is written by hand. */
export function operationsMarkdown(): string {
  const page = readFileSync(PAGE, 'utf8')
  const parts: Record<string, [source: string, body: string]> = {
    contents: ['made', contents(page)],
    problems: ['made of proxy/lib/advice', sections(Object.keys(problemAdvice))],
    mints: ['made of proxy/lib/advice', sections(Object.keys(mintAdvice))],
    events: ['made of proxy/lib/advice', sections(Object.keys(eventAdvice))],
    metrics: ['made of proxy/ops/metric-families.ts', metricsTable()],
  }
  let text = page
  for (const [name, [source, body]] of Object.entries(parts)) {
    const begin = `<!-- ${name}: ${source} by "npm run docs" -->`
    const end = `<!-- end of ${name} -->`
    const [before, rest] = split(text, begin)
    const [, after] = split(rest, end)
    text = `${before}${begin}\n\n${body}\n\n${end}${after}`
  }
  return text
}

/** Links to the sections, in one paragraph. */
function contents(page: string): string {
  const titles = [...page.matchAll(/^## (.+)$/gm)].map(([, title = '']) => title)
  return titles.map((title) => `[${title}](#${anchor(title)})`).join(' · ')
}

/** A heading's name in links, as forges make it. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  if (at === -1) throw new Error(`${PAGE} has no line ${mark}`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}

function sections(codes: readonly string[]): string {
  return codes.map(section).join('\n\n')
}

function section(code: string): string {
  const { meaning, causes, next } = advised[code] as (typeof advised)[string]
  const status = Object.hasOwn(problems, code) ? `${problems[code as keyof typeof problems].status}. ` : ''
  const list = causes.length === 0 ? [] : ['', ...causes.map((cause) => `- ${marked(cause, code)}`)]
  return [`### ${code}`, status + marked(meaning, code), ...list, '', `**Next:** ${marked(next, code)}`].join(
    '\n',
  )
}

/** Variables and codes as code, and codes that have a section as links to it. */
function marked(text: string, own: string): string {
  const words =
    /\b[A-Z]{2,}(?:_[A-Z]+)*(?:=[a-z:]+)?\b:?|\b[a-z]+(?:_[a-z]+)+\b|\btoken-sidecar [a-z]+(?: --[a-z-]+)?/g
  return text.replace(words, (word) => {
    if (Object.hasOwn(advised, word)) return word === own ? `\`${word}\`` : `[\`${word}\`](#${word})`
    return /_|=|^LISTEN$|^ALLOW$|^ROUTES$|^token-sidecar/.test(word) ? `\`${word}\`` : word
  })
}
