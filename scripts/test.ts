/**
 * Runs the tests with node:test, the same on Node 20 (whose `--test` takes no glob) and later. Arguments are path parts to
 * choose files by: `npm test -- relay token/model`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? testFiles(path) : entry.name.endsWith('.test.ts') ? [path] : []
    })
    .sort()
}

/** Whether nothing that the program is built from has changed since. */
function isBuilt(): boolean {
  if (!existsSync(LAST_BUILT)) return false
  const builtMs = statSync(LAST_BUILT).mtimeMs
  const sources = ['proxy', 'config', 'sandbox', 'scripts'].flatMap((folder) =>
    [folder].concat(
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    ),
  )
  return [...sources, 'package.json', 'package-lock.json'].every((path) => statSync(path).mtimeMs < builtMs)
}

/** What the build writes last. */
const LAST_BUILT = join('dist', 'sbom.cdx.json')

const wanted = process.argv.slice(2)
const files = testFiles('test').filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
)
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`)
  process.exit(64)
}
// Scenario tests run the built program, as users do. A second run beside this one must not have its chunks taken away: a sidecar
// that cannot load one any more never mints.
if (!isBuilt()) {
  const build = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { stdio: 'inherit' })
  if (build.status !== 0) process.exit(build.status ?? 1)
}
// Many tests wait more than they compute, so all processors are used; Node's own choice leaves one free.
const concurrency = `--test-concurrency=${availableParallelism()}`
// No test file takes a minute and a half; one that hangs is to fail by its name, not to stop everything behind it.
const options = ['--test', '--test-reporter=spec', '--test-timeout=300000', concurrency]
const run = spawnSync(process.execPath, ['--import', 'tsx', ...options, ...files], { stdio: 'inherit' })
process.exit(run.status ?? 1)
