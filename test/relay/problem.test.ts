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
      assert.equal(body.title, problem.reason)
      assert.notEqual(problem.reason, '')
      assert.equal(headers.get('content-type'), 'application/problem+json')
      assert.equal(headers.get('content-length'), String(Buffer.byteLength(problem.body)))
      assert.equal(headers.get('cache-control'), 'no-store')
      assert.equal(headers.get('proxy-status'), `token-sidecar; error=${problems[code].proxyStatus}`)
      assert.equal(headers.has('retry-after'), problem.status === 503, code)
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
