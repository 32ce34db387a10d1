import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ProblemCode, problems } from '../../proxy/lib/errors.ts'
import { problemFor } from '../../proxy/relay/problem.ts'

describe('problem answers', () => {
  it('are problem+json with code, status and exact length, never stored, with the error type of RFC 9209', () => {
    for (const code of Object.keys(problems) as ProblemCode[]) {
      const problem = problemFor(code)
      const headers = new Map(problem.headers)
      const body = JSON.parse(problem.body)
      assert.equal(body.code, code)
      assert.equal(body.status, problem.status)
      assert.equal(body.type, `urn:token-sidecar:problem:${code}`)
      assert.equal(body.title, problems[code].title)
      assert.notEqual(problem.reason, '')
      assert.equal(headers.get('content-type'), 'application/problem+json')
      assert.equal(headers.get('content-length'), String(Buffer.byteLength(problem.body)))
      assert.equal(headers.get('cache-control'), 'no-store')
      assert.equal(headers.get('proxy-status'), `token-sidecar; error=${problems[code].proxyStatus}`)
      assert.equal(headers.has('retry-after'), problem.status === 503, code)
    }
  })

  it('say what it means, why and what to do, and where more is written', () => {
    const body = JSON.parse(problemFor('secret_rejected').body)
    assert.match(body.detail, /401 .* whitelist/)
    assert.equal(body.causes.length, 4)
    assert.equal(body.help, 'docs/operations.md#secret_rejected')
  })

  it('carry the id of the request and nothing of one call in the answer to the next', () => {
    for (const code of ['upstream_timeout', 'token_unavailable'] as const) {
      const idOf = (requestId?: string) => new Map(problemFor(code, 1, requestId).headers).get('x-request-id')
      assert.equal(idOf('a1'), 'a1')
      assert.equal(idOf(), undefined)
    }
  })

  it('say when to ask again in whole seconds, at least one', () => {
    const retryAfter = (seconds?: number) =>
      new Map(problemFor('token_unavailable', seconds).headers).get('retry-after')
    assert.equal(retryAfter(), '1')
    assert.equal(retryAfter(0), '1')
    assert.equal(retryAfter(7.2), '8')
  })
})
