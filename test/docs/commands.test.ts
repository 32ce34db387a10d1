import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { freePort } from '../support/redis-server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { blocksOf, pageAt } from './pages.ts'

/** Pages whose commands are run one after the other, as a reader would. docs/deploy.md has a test of its own. */
const followed = ['README.md', 'docs/getting-started.md', 'docs/local-development.md', 'docs/embedding.md']

/** What a reader is promised to see, besides commands that succeed. */
const seen: Readonly<Record<string, readonly RegExp[]>> = {
  'docs/getting-started.md': [/"x-cleartax-auth-token":"\*+"/, /^credential default: fresh$/m],
  'docs/local-development.md': [
    /^minted generation 3, /m,
    /^429$/m,
    /_foreign_mints_total\{credential="default"\} 1$/m,
    /_replays_total\{outcome="accepted"\} 1$/m,
  ],
}

/** What a reader may have open at the ports of the documents is not disturbed. */
const PORTS = ['4010', '8080', '9464']
const PATIENCE_MS = 60_000

const skip = spawnSync('curl', ['--version']).status !== 0 && 'curl is not installed'

describe('commands in the documents', { concurrency: 2 }, () => {
  for (const path of followed) {
    const blocks = blocksOf(pageAt(path)).filter(({ language }) => language === 'sh')
    const runnable = blocks.filter(({ notRun }) => notRun === null)
    it(`are there: ${path}`, () => assert.ok(blocks.length > 0))
    for (const { code, notRun } of blocks) {
      if (notRun !== null) it(`${path}: ${code.split('\n')[0]}`, { skip: notRun }, () => {})
    }
    if (runnable.length === 0) continue
    it(`work: ${path}`, { skip }, async () => {
      const { status, output } = await follow(runnable.map(({ code }) => code))
      assert.equal(status, 0, output)
      for (const pattern of seen[path] ?? []) assert.match(output, pattern)
    })
  }

  it('of the README are what CI does on a fresh clone', () => {
    const ci = readFileSync('.ci/run', 'utf8')
    for (const line of ['npm ci', 'npm test', 'npm run --silent demo'])
      assert.match(ci, new RegExp(`^${line}`, 'm'))
  })
})

/** Runs blocks as one shell does, in a folder that has the built program as a clone has, and ends what they leave running. */
async function follow(blocks: readonly string[]): Promise<{ status: number | null; output: string }> {
  const folder = tempDir()
  const programs = join(folder, 'programs')
  mkdirSync(programs)
  symlinkSync(process.execPath, join(programs, 'node'))
  symlinkSync(resolve('dist'), join(folder, 'dist'))

  const ports = new Map<string, string>()
  for (const port of PORTS) ports.set(port, String(await freePort()))
  // One pipe for both outputs, or a line of one could end up within a line of the other.
  const script = ['exec 2>&1', ...blocks].join('\n').replaceAll(/127\.0\.0\.1:(\d+)/g, (all, port) => {
    const free = ports.get(port)
    return free === undefined ? all : `127.0.0.1:${free}`
  })
  const child = spawn('sh', ['-e', '-x', '-c', script], {
    cwd: folder,
    // A group of its own, so that all of it can be ended.
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      PATH: `${programs}:${process.env['PATH']}`,
      HOME: folder,
      SANDBOX_PORT: ports.get('4010'),
      LISTEN: `127.0.0.1:${ports.get('8080')}`,
      OPS_LISTEN: `127.0.0.1:${ports.get('9464')}`,
    },
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const exited = new Promise<number | null>((done) => child.once('exit', done))
  const closed = new Promise((done) => child.once('close', done))
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  const status = await exited
  clearTimeout(timer)
  process.kill(-(child.pid as number), 'SIGKILL')
  // Only then has everything been read.
  await closed
  return { status, output }
}
