import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { begin, sandboxFor, send } from '../sandbox/client.ts'
import { type CallPlan, makeCall, type Outcome } from '../support/load.ts'
import { assertAllWell } from '../support/load-record.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import { assertTokenRequests, eventually, settingsFor } from './setup.ts'

describe('the end of the process', { concurrency: 2 }, () => {
  it('lets calls under way finish after SIGTERM, refuses new ones, and exits 0', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    const kept = new Agent({ keepAlive: true })
    test.after(() => kept.destroy())
    assert.equal((await send(`${sidecar.url}/echo`, { agent: kept })).status, 200)
    const slow = await slowCall(sidecar, 1_500)
    sidecar.signal('SIGTERM')
    await sidecar.logged('draining')

    const readiness = await sidecar.ask('/readyz')
    assert.equal(readiness.status, 503)
    assert.match(readiness.json().reason, /draining/)
    assert.equal((await sidecar.ask('/livez')).status, 200)
    const late = await send(`${sidecar.url}/echo`, { agent: kept })
    assert.equal(late.status, 503)
    assert.equal(late.json().code, 'shutting_down')
    assert.equal(late.headers['connection'], 'close')
    assert.equal((await makeCall(sidecar.url, get('/echo'), false)).failure, 'ECONNREFUSED')
    assertAllWell([await slow.ended])
    assert.deepEqual(await sidecar.ended, { code: 0, signal: null })
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('comes at once with a second signal', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox, { SHUTDOWN_TIMEOUT: '60s' }))
    const slow = await slowCall(sidecar, 60_000)
    sidecar.signal('SIGTERM')
    await sidecar.logged('draining')
    sidecar.signal('SIGTERM')
    assert.deepEqual(await sidecar.ended, { code: 0, signal: null })
    assert.notEqual((await slow.ended).failure, null)
  })

  it('waits no longer than SHUTDOWN_TIMEOUT for calls under way', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox, { SHUTDOWN_TIMEOUT: '300ms' }))
    const slow = await slowCall(sidecar, 60_000)
    assert.equal(await sidecar.stop('SIGINT'), 0)
    assert.equal((await slow.ended).failure, 'ECONNRESET')
    assert.equal(sidecar.lines('stopped').length, 1)
  })

  it('waits for the answer of a mint that was sent, and stores its token', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'slow-answer', ms: 800, count: 1 })
    const settings = settingsFor(sandbox)
    const first = await startSidecar(test, settings)
    await eventually('the mint is under way', () => sandbox.log.events.length === 1)
    assert.equal(await first.stop(), 0)
    assert.equal(first.lines('token_minted').length, 1)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('can be asked for with POST /quit, by local programs that mean it', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    const slow = await slowCall(sidecar, 700)
    assert.equal((await sidecar.ask('/quit', { method: 'POST' })).status, 403)
    const asked = await sidecar.ask('/quit', { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    assert.equal(asked.status, 202)
    assertAllWell([await slow.ended])
    assert.deepEqual(await sidecar.ended, { code: 0, signal: null })
    assert.equal(sidecar.lines('quit_requested').length, 1)
  })

  it('leaves a stream of events to its end after SIGTERM', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    const request = begin(`${sidecar.url}/sse?count=10&everyMs=100`)
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    await once(response, 'data')
    sidecar.signal('SIGTERM')
    await once(response, 'end')
    assert.ok(text.includes('{"n":10}'))
    assert.deepEqual(await sidecar.ended, { code: 0, signal: null })
  })
})

/** Begins a call that the upstream answers after `ms`; resolves when it is under way. */
async function slowCall(sidecar: Sidecar, ms: number): Promise<{ readonly ended: Promise<Outcome> }> {
  await sidecar.ready()
  const ended = makeCall(sidecar.url, get(`/slow?ms=${ms}`), false)
  await eventually(
    'the slow call is under way',
    async () => (await sidecar.metric('token_sidecar_requests_in_flight')) === 1,
  )
  return { ended }
}

function get(path: string): CallPlan {
  return { method: 'GET', path }
}
