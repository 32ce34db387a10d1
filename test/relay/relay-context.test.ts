import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLog } from '../../proxy/lib/log.ts'
import type { ForwarderOptions } from '../../proxy/relay/forwarder.ts'
import { callRecorder } from '../../proxy/relay/relay-context.ts'
import type { RequestHead } from '../../proxy/relay/request-head.ts'

describe('the access log', () => {
  it('shows the path of a target without query and fragment, and nothing of another form', () => {
    const paths: unknown[] = []
    const log = {
      ...silentLog,
      info: (_: string, fields = {}) => void paths.push((fields as { path: unknown }).path),
    }
    const record = callRecorder({ accessLog: 'all' } as ForwarderOptions, log)
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
