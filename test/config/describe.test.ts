import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { settingsMarkdown } from '../../config/configuration-page.ts'
import { settingsHelp } from '../../config/describe.ts'
import { settings } from '../../config/settings.ts'
import { load } from './support.ts'

describe('the help text', () => {
  it('has every setting and every default', () => {
    const help = settingsHelp()
    for (const [name, row] of Object.entries(settings)) {
      const line = help.split('\n').find((text) => new RegExp(`^ {2}${name}[ ,]`).test(text))
      assert.ok(line !== undefined, `${name} is missing`)
      if ('fallback' in row && !('otherwise' in row) && row.fallback !== '') {
        assert.ok(line.endsWith(`(default: ${row.fallback})`), line)
      }
      if ('file' in row) assert.ok(line.includes(`${name}_FILE`), line)
    }
  })

  it('fits 96 columns and has no Markdown', () => {
    for (const line of settingsHelp().split('\n')) {
      assert.ok(line.length <= 96, line)
      assert.doesNotMatch(line, /`|\u00a0|\s$/)
    }
  })
})

describe('the Markdown page', () => {
  it('is docs/configuration.md as it stands', () => {
    const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
    assert.equal(page, settingsMarkdown(), 'run "npm run docs"')
  })

  it('has a row with three cells for every setting', () => {
    const tableRows = settingsMarkdown()
      .split('\n')
      .filter((line) => line.startsWith('| `'))
    assert.equal(tableRows.length, Object.keys(settings).length)
    for (const row of tableRows) assert.equal(row.split(/(?<!\\)\|/).length, 5, row)
  })

  it('names every variable that a route may set', () => {
    for (const [name, row] of Object.entries(settings)) {
      if ('perRoute' in row && row.perRoute === 'too') {
        assert.ok(settingsMarkdown().includes(`\`ROUTE_N_${name}\``), name)
      }
    }
  })

  it('has examples that load without a warning', () => {
    const blocks = [...settingsMarkdown().matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1] ?? '')
    assert.equal(blocks.length, 2)
    for (const block of blocks) {
      const pairs = block.split('\n').filter((line) => /^[A-Z]/.test(line))
      const env = Object.fromEntries(
        pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      )
      const secrets = Object.values(env).filter((value) => value.startsWith('/run/secrets/'))
      const files = Object.fromEntries(secrets.map((path) => [path, `content-of-${path}`]))
      const { config, warnings } = load({ CLIENT_SECRET: undefined, ...env }, files)
      assert.deepEqual(warnings, [])
      assert.equal(config.credentials.length, secrets.length)
    }
  })
})
