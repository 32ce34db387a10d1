import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import type express from 'express'
import request from 'supertest'
import { trims } from '../../scripts/bundle-trims.ts'

/** Bundles a program text as the product is bundled, and loads it. */
async function bundled<T>(test: { after(run: () => void): void }, contents: string): Promise<T> {
  const folder = mkdtempSync(join(process.cwd(), 'node_modules', '.trims-'))
  test.after(() => rmSync(folder, { recursive: true, force: true }))
  const outfile = join(folder, 'bundle.cjs')
  await build({
    stdin: { contents, resolveDir: process.cwd() },
    absWorkingDir: process.cwd(),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    plugins: [trims],
    outfile,
    logLevel: 'silent',
  })
  return ((await import(pathToFileURL(outfile).href)) as { default: T }).default
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
})
