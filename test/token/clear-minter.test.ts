import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { systemClock } from '../../proxy/lib/clock.ts'
import type { Log } from '../../proxy/lib/log.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { ClearMinter, clockOffset } from '../../proxy/token/clear-minter.ts'
import type { MintOutcome } from '../../proxy/token/minter.ts'

const SECRET = 'c2VjcmV0+/=@Ab1'

async function tokenApi(t: TestContext, handle: RequestListener): Promise<URL> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/integration/v1/authz/token`)
}

function minterFor(tokenUrl: URL, lines: string[] = []): ClearMinter {
  const write = (event: string, fields: unknown) => void lines.push(`${event} ${inspect(fields)}`)
  const log: Log = { debug: write, info: write, warn: write, error: write }
  const tls = { ca: undefined, cert: undefined, key: undefined }
  return new ClearMinter({ tokenUrl, secret: new Secret(SECRET), tls, clock: systemClock, log })
}

async function answering(t: TestContext, status: number, body: string): Promise<MintOutcome> {
  const url = await tokenApi(t, (_request, response) => {
    response.statusCode = status
    response.end(body)
  })
  return minterFor(url).mint(AbortSignal.timeout(20_000))
}

describe('the minter for Clear', () => {
  it('asks with GET, the secret header, no body and no parameters', async (t) => {
    let seen = ''
    const url = await tokenApi(t, (request, response) => {
      seen = `${request.method} ${request.url} ${request.headers['x-clear-client-secret']} ${request.headers['content-length']}`
      response.end(JSON.stringify({ access_token: '1.a', valid_till: null }))
    })
    await minterFor(url).mint(AbortSignal.timeout(20_000))
    assert.equal(seen, `GET /integration/v1/authz/token ${SECRET} undefined`)
  })

  it('reads token and expiry, in either spelling of the field', async (t) => {
    for (const field of ['access_token', 'access-token']) {
      const outcome = await answering(
        t,
        200,
        JSON.stringify({ [field]: '1.a', valid_till: '2030-01-01T00:00:00+00:00' }),
      )
      assert.ok(outcome.kind === 'minted')
      assert.equal(outcome.token.value.reveal(), '1.a')
      assert.equal(outcome.token.validTill, Date.UTC(2030, 0, 1))
    }
  })

  it('takes a null expiry for a token that never expires', async (t) => {
    const outcome = await answering(t, 200, '{"access_token":"1.a","valid_till":null}')
    assert.ok(outcome.kind === 'minted')
    assert.equal(outcome.token.validTill, null)
  })

  it('calls a 200 without a usable token an unknown outcome', async (t) => {
    const bodies = [
      '',
      '<html>',
      '{}',
      '[]',
      'null',
      '{"access_token":""}',
      '{"access_token":7}',
      '{"access_token":"a b"}',
    ]
    bodies.push(
      '{"access_token":"a\\r\\nx: y"}',
      '{"access_token":"1.a","errors":[{"error_code":"x"}]}',
      'x'.repeat(100_000),
    )
    for (const body of bodies) {
      const outcome = await answering(t, 200, body)
      assert.equal(outcome.kind, 'unknown', body.slice(0, 40))
      assert.ok(outcome.kind === 'unknown' && outcome.error.code === 'mint_garbage')
    }
  })

  it('branches on the status alone: 401 and 429 are refusals, 5xx is unknown, a redirect is not followed', async (t) => {
    const kinds: Record<number, string> = {}
    for (const status of [301, 401, 404, 408, 429, 500, 502, 503]) {
      const outcome = await answering(
        t,
        status,
        '{"errors":[{"error_code":"1005","error_message":"Invalid Token"}]}',
      )
      kinds[status] = outcome.kind === 'refused' ? outcome.reason : outcome.kind
    }
    assert.deepEqual(kinds, {
      301: 'unreachable',
      401: 'secret_rejected',
      404: 'unreachable',
      408: 'unknown',
      429: 'quota_exhausted',
      500: 'unknown',
      502: 'unknown',
      503: 'unknown',
    })
  })

  it('and when the body breaks off, too', async (t) => {
    const kinds = await Promise.all(
      [401, 429, 404, 500].map(async (status) => {
        const url = await tokenApi(t, (_request, response) => {
          response.writeHead(status, { 'content-length': '100' }).write('{"errors":')
          setImmediate(() => response.destroy())
        })
        const outcome = await minterFor(url).mint(AbortSignal.timeout(20_000))
        return outcome.kind === 'refused' ? outcome.reason : outcome.kind
      }),
    )
    assert.deepEqual(kinds, ['secret_rejected', 'quota_exhausted', 'unreachable', 'unknown'])
  })

  it('and when the body never ends, once the deadline is over', async (t) => {
    const url = await tokenApi(t, (_request, response) => {
      response.writeHead(401, { 'content-length': '100' }).write('{"errors":')
    })
    const outcome = await minterFor(url).mint(AbortSignal.timeout(300))
    assert.ok(outcome.kind === 'refused' && outcome.reason === 'secret_rejected')
  })

  it('keeps the error id of a 200 that tells of errors', async (t) => {
    const outcome = await answering(t, 200, '{"access_token":"1.a","errors":[{"error_id":"c0ffee-2"}]}')
    assert.deepEqual(outcome, {
      kind: 'unknown',
      error: { code: 'mint_garbage', status: 200, errorId: 'c0ffee-2' },
    })
  })

  it('keeps the error id and nothing else of an error body', async (t) => {
    const body = JSON.stringify({
      errors: [
        { error_code: 'E1', error_message: `secret ${SECRET}`, error_source: 'CLEAR', error_id: 'c0ffee-1' },
      ],
    })
    const outcome = await answering(t, 500, body)
    assert.ok(outcome.kind === 'unknown')
    assert.deepEqual(outcome.error, { code: 'mint_status', status: 500, errorId: 'c0ffee-1' })
  })

  it('knows that nothing was minted when no connection came about', async (t) => {
    const url = await tokenApi(t, () => {})
    const closed = createTcpServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    url.port = String((closed.address() as AddressInfo).port)
    await new Promise((resolve) => closed.close(resolve))
    const outcome = await minterFor(url).mint(AbortSignal.timeout(20_000))
    assert.deepEqual(outcome, {
      kind: 'refused',
      reason: 'unreachable',
      error: { code: 'mint_unreachable', cause: 'ECONNREFUSED' },
    })
  })

  it('knows that nothing was minted when TLS fails', async (t) => {
    const url = await tokenApi(t, () => {})
    url.protocol = 'https:'
    const outcome = await minterFor(url).mint(AbortSignal.timeout(20_000))
    assert.ok(outcome.kind === 'refused' && outcome.reason === 'unreachable')
  })

  it('does not know the outcome when the connection is reset after the request, and sends it once only', async (t) => {
    let requests = 0
    const url = await tokenApi(t, (request) => {
      requests++
      request.socket.resetAndDestroy()
    })
    const outcome = await minterFor(url).mint(AbortSignal.timeout(20_000))
    assert.ok(outcome.kind === 'unknown' && outcome.error.code === 'mint_reset')
    assert.equal(requests, 1)
  })

  it('does not know the outcome when the deadline passes without an answer', async (t) => {
    const url = await tokenApi(t, () => {})
    const outcome = await minterFor(url).mint(AbortSignal.timeout(100))
    assert.ok(outcome.kind === 'unknown' && outcome.error.code === 'mint_timeout')
  })

  it('never puts the secret or an answer into a log line or an error', async (t) => {
    const lines: string[] = []
    const url = await tokenApi(t, (_request, response) => {
      response.end(JSON.stringify({ access_token: '1.visible', valid_till: 'tomorrow' }))
    })
    const outcome = await minterFor(url, lines).mint(AbortSignal.timeout(20_000))
    const said = lines.join('\n') + inspect(outcome, { depth: 9 })
    assert.match(said, /valid_till_unreadable/)
    assert.doesNotMatch(said, /visible|tomorrow|c2VjcmV0/)
  })
})

describe('the correction by the Date field', () => {
  const now = Date.parse('2026-11-22T12:00:00.300Z')

  it('leaves clocks alone that agree to the second', () => {
    assert.equal(clockOffset('Sun, 22 Nov 2026 12:00:00 GMT', now - 100, now), 0)
    assert.equal(clockOffset('Sun, 22 Nov 2026 11:59:59 GMT', now - 100, now), 0)
    assert.equal(clockOffset(undefined, now, now), 0)
    assert.equal(clockOffset('soon', now, now), 0)
  })

  it('tells how far the other clock is ahead or behind', () => {
    assert.equal(clockOffset('Sun, 22 Nov 2026 13:00:00 GMT', now, now), 3_600_200)
    assert.equal(clockOffset('Sun, 22 Nov 2026 11:00:00 GMT', now, now), -3_599_800)
  })

  it('moves valid_till to our clock', async (t) => {
    const ahead = Date.now() + 3_600_000
    const url = await tokenApi(t, (_request, response) => {
      response.setHeader('date', new Date(ahead).toUTCString())
      response.end(
        JSON.stringify({ access_token: '1.a', valid_till: new Date(ahead + 60_000).toISOString() }),
      )
    })
    const outcome = await minterFor(url).mint(AbortSignal.timeout(20_000))
    assert.ok(outcome.kind === 'minted' && outcome.token.validTill !== null)
    assert.ok(Math.abs(outcome.token.validTill - (Date.now() + 60_000)) < 2_000)
  })
})
