import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { callRecorder } from '../../proxy/relay/call-log.ts'
import type { RequestHead } from '../../proxy/relay/request-head.ts'

describe('the access log', () => {
  it('shows the path of a target without query and fragment, and nothing of another form', () => {
    const paths: (string | null)[] = []
    const record = callRecorder({ accessLog: 'all' }, ({ path }) => void paths.push(path))
    for (const target of [
      '/a/@b?secret',
      '/a#secret',
      'http://user:p@ss@host/a@b?c',
      'user:pass@host:443',
      '*',
    ]) {
      record({ method: 'GET', target } as RequestHead, null, 400, 0, 'request_invalid', false)
    }
    assert.deepEqual(paths, ['/a/@b', '/a', null, null, null])
  })
})
