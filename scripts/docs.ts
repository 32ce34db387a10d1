import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { settingsMarkdown } from '../config/configuration-page.ts'
import { settingsType } from '../config/describe-type.ts'
import { chartReadme } from './chart-readme.ts'
import { withIncluded } from './included.ts'
import { operationsMarkdown } from './operations.ts'

/** Pages that people write, and into which examples and figures are put. */
const pages = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
)

/** Every document that is generated, whole or in part, by its path from the root of the repository. */
const documents = [
  ...pages.map((path) => ({ path, render: () => withIncluded(readFileSync(path, 'utf8')) })),
  { path: 'docs/configuration.md', render: settingsMarkdown },
  { path: 'config/sidecar-settings.ts', render: settingsType },
  { path: 'helm/token-sidecar/README.md', render: chartReadme },
  { path: 'docs/operations.md', render: operationsMarkdown },
]

const checkOnly = process.argv.includes('--check')
let drifted = 0

for (const { path, render } of documents) {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url))
  const expected = render()
  const actual = existsSync(file) ? readFileSync(file, 'utf8') : ''
  if (actual === expected) continue
  drifted++
  if (checkOnly) console.error(`${path} is out of date:\n${firstDifference(actual, expected)}`)
  else writeFileSync(file, expected)
  if (!checkOnly) console.log(`wrote ${path}`)
}

if (checkOnly && drifted > 0) {
  console.error('run "npm run docs" and commit the result')
  process.exitCode = 1
}

function firstDifference(actual: string, expected: string): string {
  const actualLines = actual.split('\n')
  const expectedLines = expected.split('\n')
  const index = expectedLines.findIndex((line, at) => line !== actualLines[at])
  const at = index === -1 ? expectedLines.length : index
  return [
    `  line ${at + 1}`,
    `  - ${actualLines[at] ?? '(end)'}`,
    `  + ${expectedLines[at] ?? '(end)'}`,
  ].join('\n')
}
