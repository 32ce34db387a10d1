import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { begin, call, sandboxFor, tokenFrom } from './client.ts'
import { FakeClock } from './fake-clock.ts'

describe('probes', () => {
  it('/echo says what arrived', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const sending = { method: 'PATCH', headers: { 'X-Odd-Case': 'kept' }, body: 'hello' }
    const echo = (await call(sandbox, '/echo/below?a=%20b', token, sending)).json()
    assert.equal(echo.method, 'PATCH')
    assert.equal(echo.url, '/echo/below?a=%20b')
    assert.equal(echo.headers['x-cleartax-auth-token'], token)
    assert.equal(echo.rawHeaders[echo.rawHeaders.indexOf('X-Odd-Case') + 1], 'kept')
    assert.equal(echo.bodyBytes, 5)
    assert.equal(echo.bodySha256, createHash('sha256').update('hello').digest('hex'))
  })

  it('/bytes/n answers n bytes of the pattern, with a length or in chunks', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    for (const size of [0, 178, 65_520, 1_000_000]) {
      const plain = await call(sandbox, `/bytes/${size}`, token)
      assert.equal(plain.headers['content-length'], String(size))
      const chunked = await call(sandbox, `/bytes/${size}?chunked=1`, token)
      assert.equal(chunked.headers['transfer-encoding'], 'chunked')
      const pattern = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz')
      assert.ok(plain.body.equals(pattern) && chunked.body.equals(pattern), `${size} bytes`)
    }
    const head = await call(sandbox, '/bytes/1000000', token, { method: 'HEAD' })
    assert.equal(head.headers['content-length'], '1000000')
    assert.equal((await call(sandbox, '/bytes/many', token)).status, 400)
  })

  it('/slow answers after the time asked for', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    const answer = call(sandbox, '/slow?ms=70', token)
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    clock.advance(70)
    assert.deepEqual((await answer).json(), { waitedMs: 70 })
  })

  it('/status/code answers it, with the living token too', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    for (const code of [200, 204, 304, 401, 403, 503]) {
      assert.equal((await call(sandbox, `/status/${code}`, token)).status, code)
    }
    assert.equal((await call(sandbox, '/status/100', token)).status, 400)
    assert.equal(sandbox.gate.counters.accepted, 7)
  })

  it('/sse sends the events asked for and ends', async (test) => {
    const sandbox = await sandboxFor(test)
    const answer = await call(sandbox, '/sse?count=2&everyMs=1', await tokenFrom(sandbox))
    assert.equal(answer.headers['content-type'], 'text/event-stream')
    assert.equal(answer.text, 'id: 1\ndata: {"n":1}\n\nid: 2\ndata: {"n":2}\n\n')
  })

  it('/sse stops when the client leaves', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    const req = begin(`${sandbox.url}/sse`, { headers: { 'x-cleartax-auth-token': token } }).end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    await once(res, 'data')
    res.on('error', () => {})
    assert.equal(clock.pending, 1)
    req.destroy()
    while (clock.pending > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it('/reflect-token gives the token away in a header and in a JSON or text body', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const json = await call(sandbox, '/reflect-token', token)
    assert.equal(json.headers['x-reflected-token'], token)
    assert.equal(json.json().token, token)
    const text = await call(sandbox, '/reflect-token?as=text', token)
    assert.match(text.headers['content-type'] ?? '', /^text\/plain/)
    assert.ok(text.text.includes(token))
  })

  it('/reflect-token cuts the token in two chunks', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const req = begin(`${sandbox.url}/reflect-token?chunked=1`, {
      headers: { 'x-clear-auth-token': token },
    }).end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    const chunks: string[] = []
    for await (const chunk of res) chunks.push(String(chunk))
    assert.equal(chunks.length, 2)
    assert.ok(chunks.every((chunk) => !chunk.includes(token)))
    assert.equal(JSON.parse(chunks.join('')).token, token)
  })
})
