import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExitError, exits, ProblemError, problems } from '../../proxy/lib/errors.ts'

test('a problem has a stable code, a title for people, and its cause', () => {
  const cause = new Error('below')
  const problem = new ProblemError('token_unavailable', { cause, retryAfterS: 3 })
  assert.equal(problem.code, 'token_unavailable')
  assert.equal(problem.message, problems.token_unavailable.title)
  assert.equal(problem.cause, cause)
  assert.equal(problem.retryAfterS, 3)
})

test('every problem is an error status with an error type of RFC 9209', () => {
  // Section 2.3 of the RFC; the ones that a proxy may report without having been told so by the next hop.
  const types = [
    'destination_not_found',
    'destination_unavailable',
    'http_protocol_error',
    'http_request_denied',
    'http_request_error',
    'http_response_timeout',
    'proxy_internal_error',
    'proxy_internal_response',
  ]
  for (const [code, { status, proxyStatus, title }] of Object.entries(problems)) {
    assert.ok(status >= 400 && status < 600, code)
    assert.ok(types.includes(proxyStatus), `${code}: ${proxyStatus}`)
    assert.match(title, /^[A-Z].*\.$/, code)
  }
})

test('every way to end the process has an exit code of its own', () => {
  assert.equal(new Set(Object.values(exits)).size, Object.keys(exits).length)
  assert.equal(exits[new ExitError('config_invalid', 'bad').code], 78)
})
