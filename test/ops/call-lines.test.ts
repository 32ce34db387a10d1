import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CallLine } from '../../proxy/lib/call-line.ts'
import { type ProblemCode, problems } from '../../proxy/lib/errors.ts'
import { jsonCallLine, prettyCallLine } from '../../proxy/ops/call-lines.ts'
import { fc } from '../support/fast-check.ts'
import { NOW } from './deps.ts'

const call: CallLine = {
  method: 'PUT',
  route: 'default',
  path: '/einv/v2/eInvoice/generate',
  status: 200,
  durationMs: 12.34567,
  code: null,
  replayed: false,
  requestId: null,
  traceId: null,
}

describe('the line of a call', () => {
  it('is one JSON object with time, level and event like every other line', () => {
    const ids = { requestId: 'a"1', traceId: '0af7651916cd43dd8448eb211c80319c' }
    assert.equal(
      jsonCallLine({ ...call, ...ids }, NOW + 7),
      '{"time":"2030-01-01T00:00:00.007Z","level":"info","event":"call","method":"PUT","route":"default",' +
        '"path":"/einv/v2/eInvoice/generate","status":200,"duration_ms":12.346,"code":null,"replayed":false,' +
        '"request_id":"a\\"1","trace_id":"0af7651916cd43dd8448eb211c80319c"}\n',
    )
  })

  it('says where a code is explained', () => {
    const line = JSON.parse(jsonCallLine({ ...call, status: 503, code: 'secret_rejected' }, NOW))
    assert.equal(line.help, 'docs/operations.md#secret_rejected')
  })

  it('has the right time at every instant', () => {
    const instants = fc.array(fc.integer({ min: 0, max: 4e12 }).map((ms) => ms + 0.25))
    fc.assert(
      fc.property(instants, (times) => {
        for (const time of times)
          assert.equal(JSON.parse(jsonCallLine(call, time)).time, new Date(time).toISOString())
      }),
    )
  })

  it('is one line and says what happened, whatever a caller sends', () => {
    const anything = fc.record({
      method: fc.option(fc.string({ unit: 'binary' })),
      path: fc.option(fc.string({ unit: 'binary' })),
      requestId: fc.option(fc.string({ unit: 'binary' })),
      status: fc.integer({ min: 100, max: 599 }),
      code: fc.option(fc.constantFrom(...(Object.keys(problems) as ProblemCode[]))),
    })
    fc.assert(
      fc.property(anything, (sent) => {
        const json = jsonCallLine({ ...call, ...sent }, NOW)
        assert.equal(json.indexOf('\n'), json.length - 1)
        const { method, path, status, code, request_id: requestId = null } = JSON.parse(json)
        assert.deepEqual({ method, path, status, code, requestId }, { ...sent })
        const pretty = prettyCallLine({ ...call, ...sent }, NOW, false)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose.
        assert.doesNotMatch(pretty.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
      }),
    )
  })

  it('has milliseconds with three decimals', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), (durationMs) => {
        const { duration_ms: shown } = JSON.parse(jsonCallLine({ ...call, durationMs }, NOW))
        assert.ok(Math.abs(shown - durationMs) <= 0.000501, `${durationMs}: ${shown}`)
      }),
    )
  })

  it('stays short though the path is long', () => {
    const line = jsonCallLine({ ...call, path: `/${'x'.repeat(1_000_000)}` }, NOW)
    assert.ok(line.length < 3_000)
    assert.ok(JSON.parse(line).path.endsWith('…'))
  })

  it('shows people what is special about the call and leaves out the rest', () => {
    assert.equal(
      prettyCallLine(call, NOW, false),
      '00:00:00.000 INFO  call                     method=PUT path=/einv/v2/eInvoice/generate status=200 duration_ms=12.346 route=default\n',
    )
  })
})
