import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { before, describe, it } from 'node:test'
import { blocksOf, pageAt } from '../docs/pages.ts'
import { installedPackage, runIn } from './installed.ts'

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

describe('the packed package, installed without a network', () => {
  let folder = ''
  before(() => {
    folder = installedPackage()
  })

  it('brings nothing else along', () => {
    const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))
    assert.deepEqual(installed, ['token-sidecar'])
  })

  it('runs with npx', () => {
    const asked = runIn(folder, 'npx', ['token-sidecar', '--version'])
    assert.deepEqual(asked, { status: 0, stdout: `${version}\n`, stderr: '' })
    assert.match(runIn(folder, 'npx', ['token-sidecar', '--help']).stdout, /UPSTREAM_URL/)
    const demo = runIn(folder, 'npx', ['token-sidecar', 'demo', '--seconds', '2'])
    assert.equal(demo.status, 0, demo.stderr)
    assert.match(demo.stdout, /^\d+ calls, 0 failed\. Tokens minted by the sandbox: 1\.$/m)
  })

  it('is a library for ES modules and for require(), says nothing by itself and lets the process end', () => {
    const use = `
      .then(async ({ createSandbox, createSidecar }) => {
        const sandbox = await createSandbox()
        const sidecar = await createSidecar(sandbox.settings)
        const answer = await fetch(sidecar.url + '/echo')
        const { version } = await (await fetch(sidecar.opsUrl + '/status')).json()
        console.log(answer.status, version)
        await sidecar.stop()
        await sandbox.stop()
      })`
    const expected = { status: 0, stdout: `200 ${version}\n`, stderr: '' }
    writeFileSync(join(folder, 'use.mjs'), `import('token-sidecar')${use}`)
    assert.deepEqual(runIn(folder, process.execPath, ['use.mjs']), expected)
    writeFileSync(join(folder, 'use.cjs'), `Promise.resolve(require('token-sidecar'))${use}`)
    // Node 20 warns that require() of an ES module is experimental.
    const required = runIn(folder, process.execPath, ['--no-warnings', 'use.cjs'])
    assert.deepEqual(required, expected)
  })

  it('has types that say what a setting is, need no other package, and refuse what there is not', () => {
    cpSync('test/package/consumer', folder, { recursive: true })
    const blocks = blocksOf(pageAt('docs/embedding.md')).filter(({ language }) => language === 'ts')
    assert.ok(blocks.length > 1)
    const shown = blocks.map(({ code }) => `{\n${code}}\n`).join('')
    writeFileSync(join(folder, 'page.ts'), PAGE_PREFACE + shown)
    const typescript = resolve('node_modules/typescript/bin/tsc')
    const checked = runIn(folder, process.execPath, [typescript, '--project', 'tsconfig.json'])
    assert.deepEqual(checked, { status: 0, stdout: '', stderr: '' })
  })
})

/** What the snippets of docs/embedding.md take for granted. */
const PAGE_PREFACE = `
import { createSidecar, type SidecarSettings } from 'token-sidecar'
declare const settings: SidecarSettings
declare const pino: Record<'info' | 'warn' | 'error', (fields: unknown, event: string) => void>
`
