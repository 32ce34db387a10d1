import { readFileSync } from 'node:fs'
import { eventAdvice } from '../proxy/lib/advice/of-events.ts'
import { mintAdvice } from '../proxy/lib/advice/of-mints.ts'
import { problemAdvice } from '../proxy/lib/advice/of-problems.ts'
import { advised, helpFor } from '../proxy/lib/advice.ts'
import { problems } from '../proxy/lib/errors.ts'

const PAGE = helpFor('').replace(/#.*$/, '')

/** The page with its sections about codes written anew, each between a pair of marks; the rest is written by hand. */
export function operationsMarkdown(): string {
  const parts: Record<string, string> = {
    problems: sections(Object.keys(problemAdvice)),
    mints: sections(Object.keys(mintAdvice)),
    events: sections(Object.keys(eventAdvice)),
  }
  let text = readFileSync(PAGE, 'utf8')
  for (const [name, body] of Object.entries(parts)) {
    const begin = `<!-- ${name}: made of proxy/lib/advice by "npm run docs" -->`
    const end = `<!-- end of ${name} -->`
    const [before, rest] = split(text, begin)
    const [, after] = split(rest, end)
    text = `${before}${begin}\n\n${body}\n\n${end}${after}`
  }
  return text
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
