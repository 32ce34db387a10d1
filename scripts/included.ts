import { readFileSync } from 'node:fs'

/** A page with what it takes from elsewhere brought up to date: examples from their files, figures from the last benchmark. */
export function withIncluded(page: string): string {
  return page.replaceAll(EXAMPLE, exampleOf).replaceAll(FIGURES, figures)
}

/** `<!-- docs/examples/after.mjs -->` before a block of code, which is that file. */
const EXAMPLE = /^<!-- (docs\/examples\/\S+) -->\n```(\w+)\n[\s\S]*?^```$/gm

function exampleOf(_: string, path: string, language: string): string {
  return `<!-- ${path} -->\n\`\`\`${language}\n${readFileSync(path, 'utf8').trimEnd()}\n\`\`\``
}

const FIGURES = /^<!-- figures -->\n[\s\S]*?^<!-- end of figures -->$/gm
const RESULTS = 'bench/results/latest.md'

/** What one small call costs, of the scenario with 32 connections. */
function figures(): string {
  const [, scenario = ''] = /^## small-32:.*\n([\s\S]*?)^## /m.exec(readFileSync(RESULTS, 'utf8')) ?? []
  const cost = (contestant: string) => {
    const [, microseconds] = new RegExp(`^\\| ${contestant} \\| ([\\d.]+) `, 'm').exec(scenario) ?? []
    if (microseconds === undefined) throw new Error(`${RESULTS} has no ${contestant} in small-32`)
    return Math.round(Number(microseconds))
  }
  const sentence =
    `It is small: a call costs ${cost('token-sidecar')} µs of processor time, ` +
    `where nginx takes ${cost('nginx')} and http-proxy ${cost('http-proxy')} ([side by side](${RESULTS})).`
  return `<!-- figures -->\n${sentence}\n<!-- end of figures -->`
}
