import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { build, type Format } from 'esbuild'
import type express from 'express'
import request from 'supertest'
import { trims } from '../../scripts/bundle-trims.ts'

const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

interface Test {
  after(run: () => void): void
}

/** Bundles a program text as the product is bundled. Returns the file. */
async function bundle(test: Test, contents: string, format: Format): Promise<string> {
  const folder = mkdtempSync(join(process.cwd(), 'node_modules', '.trims-'))
  test.after(() => rmSync(folder, { recursive: true, force: true }))
  const outfile = join(folder, format === 'esm' ? 'bundle.mjs' : 'bundle.cjs')
  await build({
    stdin: { contents, resolveDir: process.cwd() },
    absWorkingDir: process.cwd(),
    bundle: true,
    platform: 'node',
    format,
    plugins: [trims],
    outfile,
    logLevel: 'silent',
    banner: { js: format === 'esm' ? REQUIRE : '' },
  })
  return outfile
}

/** Bundles a program text and loads it. */
async function bundled<T>(test: Test, contents: string): Promise<T> {
  const file = await bundle(test, contents, 'cjs')
  return ((await import(pathToFileURL(file).href)) as { default: T }).default
}

describe('the bundle’s stand-ins', () => {
  it('read a request body of JSON as express does, and refuse other alphabets', async (test) => {
    const framework = await bundled<typeof express>(test, "module.exports = require('express')")
    const app = framework().set('env', 'test')
    app.post('/', framework.json(), ({ body }, response) => void response.json(body))
    const post = (type: string) => request(app).post('/').set('content-type', type).send('{"name":"Zürich"}')
    const answer = await post('application/json')
    assert.deepEqual(answer.body, { name: 'Zürich' })
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    await post('application/json; charset=utf-32').expect(415)
  })

  it('leave undici the client that mints', async (test) => {
    const { Client } = await bundled<typeof import('undici')>(test, "module.exports = require('undici')")
    assert.equal(typeof Client.prototype.request, 'function')
  })

  it('stand for packages that are there, so that a renamed one is noticed', async (test) => {
    const names = await bundled<string[]>(
      test,
      "require('express'); require('winston'); module.exports = Object.keys(require('mime-db'))",
    )
    assert.ok(names.length < 20, `${names.length} media types`)
  })

  it('import Node’s modules without what those load only when asked', async (test) => {
    const file = await bundle(
      test,
      `import { createHash } from 'node:crypto'
       import { STATUS_CODES } from 'node:http'
       console.log(JSON.stringify([createHash('md5').update('').digest('hex'), STATUS_CODES[418], process.moduleLoadList]))`,
      'esm',
    )
    const [hash, teapot, loaded] = JSON.parse(execFileSync(process.execPath, [file], { encoding: 'utf8' }))
    assert.deepEqual([hash, teapot], ['d41d8cd98f00b204e9800998ecf8427e', "I'm a Teapot"])
    assert.deepEqual(
      loaded.filter((name: string) => /undici|webcrypto/.test(name)),
      [],
    )
  })
})
