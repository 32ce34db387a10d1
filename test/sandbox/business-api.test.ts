import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { begin, call, sandboxFor, send, tokenFrom } from './client.ts'
import { FakeClock } from './fake-clock.ts'

const KSA = '/middle-east/ksa/einvoicing'

describe('business APIs: who may pass', () => {
  for (const header of ['x-cleartax-auth-token', 'x-clear-auth-token', 'authorization']) {
    it(`accept the living token in ${header}`, async (test) => {
      const sandbox = await sandboxFor(test)
      const token = await tokenFrom(sandbox)
      const value = header === 'authorization' ? `Bearer ${token}` : token
      assert.equal((await send(`${sandbox.url}/echo`, { headers: { [header]: value } })).status, 200)
      assert.equal(sandbox.gate.counters.accepted, 1)
    })
  }

  it('reject with the same 401 whatever is wrong, and count why', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock })
    const revoked = await tokenFrom(sandbox)
    const expired = await tokenFrom(sandbox)
    clock.advance(3_600_000)
    const answers = [
      await send(`${sandbox.url}/echo`),
      await call(sandbox, '/echo', ''),
      await call(sandbox, '/echo', 'made-up'),
      await call(sandbox, '/echo', revoked),
      await call(sandbox, '/echo', expired),
    ]
    assert.deepEqual(
      answers.map(({ status }) => status),
      [401, 401, 401, 401, 401],
    )
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
    const rejected = { missing: 2, unknown: 1, revoked: 1, expired: 1, forced: 0 }
    assert.deepEqual(sandbox.gate.counters, { accepted: 0, rejected, withSecret: 0 })
  })

  it('reject in the shape of their product', async (test) => {
    const sandbox = await sandboxFor(test)
    const ksa = await send(`${sandbox.url}${KSA}/v2/einvoices/generate`, { method: 'POST' })
    assert.equal(ksa.status, 401)
    assert.deepEqual(ksa.json(), {
      ErrorCode: '100401',
      ErrorMessage: 'Authentication Failed',
      ErrorSource: 'CLEARTAX',
    })
    const preSign = await send(`${sandbox.url}/integration/v1/generatePreSign/sales?fileName=x.csv`)
    assert.equal(preSign.status, 401)
    assert.equal(preSign.json().errorCode, 'AUTHORIZATION_FAILED')
    const oneIntegration = await send(`${sandbox.url}/one-integration/workflow/status?taskId=1`)
    assert.equal(oneIntegration.status, 403)
  })

  it('judge the token before the path: an unknown path is 404 only with a living token', async (test) => {
    const sandbox = await sandboxFor(test)
    assert.equal((await call(sandbox, '/nothing', 'made-up')).status, 401)
    assert.equal((await call(sandbox, '/nothing', await tokenFrom(sandbox))).status, 404)
  })

  it('count calls that carry a client secret', async (test) => {
    const sandbox = await sandboxFor(test)
    await send(`${sandbox.url}/echo`, { headers: { 'x-clear-client-secret': 'demo-secret' } })
    assert.equal(sandbox.gate.counters.withSecret, 1)
  })

  it('reject an upload at its head, and read on so that the connection stays usable', async (test) => {
    const sandbox = await sandboxFor(test)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    test.after(() => agent.destroy())
    const { req, res } = await rejectedAtHead(sandbox.url, agent)
    const { localPort } = res.socket
    res.resume()
    req.end('x'.repeat(1_000_000))
    await once(res, 'close')
    const next = await call(sandbox, '/echo', await tokenFrom(sandbox), { agent })
    assert.equal(next.json().remotePort, localPort)
  })

  it('cut a rejected upload that goes on beyond the bound', async (test) => {
    const sandbox = await sandboxFor(test, { drainLimitBytes: 1000 })
    const { req, res } = await rejectedAtHead(sandbox.url)
    res.resume()
    const cut = once(req, 'close')
    req.on('error', () => {})
    req.write('x'.repeat(1001))
    await cut
    assert.equal(req.writableFinished, false)
  })

  it('close at once after rejecting an upload when told not to read on', async (test) => {
    const sandbox = await sandboxFor(test, { drainLimitBytes: 0 })
    const { req, res } = await rejectedAtHead(sandbox.url)
    req.on('error', () => {})
    assert.equal(res.headers.connection, 'close')
    res.resume()
    await once(res, 'end')
    await once(res.socket, 'close')
  })

  it('reject before the body when the client waits for 100 Continue', async (test) => {
    const sandbox = await sandboxFor(test)
    const req = expecting(sandbox.url, 'made-up')
    req.once('continue', () => assert.fail('should not ask for the body'))
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    assert.equal(res.statusCode, 401)
    req.destroy()
  })

  it('send 100 Continue for an accepted call', async (test) => {
    const sandbox = await sandboxFor(test)
    const req = expecting(sandbox.url, await tokenFrom(sandbox))
    await once(req, 'continue')
    req.end('body')
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    assert.equal(res.statusCode, 200)
    res.resume()
  })
})

describe('business APIs: faults', () => {
  it('latency: waits, and judges the token only then', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'business', kind: 'latency', ms: 50, count: 1 })
    const answer = call(sandbox, '/echo', token)
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    sandbox.foreignMint()
    clock.advance(50)
    assert.equal((await answer).status, 401)
  })

  it('status: answers it as often as told, with or without a good token', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'business', kind: 'status', status: 503, count: 2 })
    assert.equal((await call(sandbox, '/echo', token)).status, 503)
    assert.equal((await call(sandbox, '/echo', 'made-up')).status, 503)
    assert.equal((await call(sandbox, '/echo', token)).status, 200)
  })

  it('reset: cuts the connection', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'business', kind: 'reset', count: 1 })
    await assert.rejects(call(sandbox, '/echo', 'any'), { code: 'ECONNRESET' })
  })

  it('reject: refuses the living token, below the path named alone', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'business', kind: 'reject', path: '/bytes' })
    assert.equal((await call(sandbox, '/bytes/1', token)).status, 401)
    assert.equal((await call(sandbox, '/echo', token)).status, 200)
    assert.equal(sandbox.gate.counters.rejected.forced, 1)
  })

  it('check at end: takes a call whose token lives, with its whole body', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'business', kind: 'check-at-end', count: 1 })
    const answer = await call(sandbox, '/echo', token, { method: 'PUT', body: 'x'.repeat(200_000) })
    assert.equal(answer.json().bodyBytes, 200_000)
    assert.equal(answer.json().bodySha256, createHash('sha256').update('x'.repeat(200_000)).digest('hex'))
  })

  it('check at end: rejects after the upload a token revoked during it', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    sandbox.faults.add({ api: 'business', kind: 'check-at-end', count: 1 })
    const req = begin(`${sandbox.url}/echo`, { method: 'PUT', headers: { 'x-cleartax-auth-token': token } })
    req.write('first half')
    // The fault is used up once the head has arrived.
    while (sandbox.faults.list().length > 0) await new Promise((resolve) => setImmediate(resolve))
    sandbox.foreignMint()
    assert.equal(sandbox.gate.counters.rejected.revoked, 0)
    req.end('second half')
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    res.resume()
    assert.equal(res.statusCode, 401)
  })
})

describe('business APIs: flows', () => {
  it('ingest a file: pre-sign, upload to the storage, trigger, poll until done', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const preSigned = await call(sandbox, '/integration/v1/generatePreSign/sales?fileName=x.csv', token)
    const { preSignedS3Url, status } = preSigned.json()
    assert.equal(status, 'CREATED')
    const early = await trigger(sandbox, token, preSignedS3Url)
    assert.equal(early.status, 400)
    assert.equal((await send(preSignedS3Url, { method: 'PUT', body: 'a,b\n1,2\n' })).status, 200)
    const triggered = await trigger(sandbox, token, preSignedS3Url)
    assert.equal(triggered.status, 201)
    const { activityId } = triggered.json()
    const seen = []
    for (let poll = 0; poll < 4; poll += 1) {
      const path = `/integration/v1/ingest/file/sales/status/${activityId}?tenant=GSTSALES`
      seen.push((await call(sandbox, path, token)).json().status)
    }
    assert.deepEqual(seen, [
      'ACTIVITY_CREATED',
      'ACTIVITY_QUEUED',
      'ACTIVITY_COMPLETED',
      'ACTIVITY_COMPLETED',
    ])
  })

  it('refuse an upload that carries a token or a secret', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const path = '/integration/v1/generatePreSign/purchase?fileName=x.csv'
    const { preSignedS3Url } = (await call(sandbox, path, token)).json()
    for (const name of [
      'x-cleartax-auth-token',
      'x-clear-auth-token',
      'authorization',
      'x-clear-client-secret',
    ]) {
      const answer = await send(preSignedS3Url, { method: 'PUT', headers: { [name]: token }, body: 'a' })
      assert.equal(answer.status, 400)
    }
    assert.equal((await trigger(sandbox, token, preSignedS3Url, 'purchase')).status, 400)
  })

  it('refuse an upload with a wrong signature or after ten minutes, in XML', async (test) => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await sandboxFor(test, { clock })
    const token = await tokenFrom(sandbox)
    const path = '/integration/v1/generatePreSign/sales?fileName=x.csv'
    const { preSignedS3Url } = (await call(sandbox, path, token)).json()
    const forged = preSignedS3Url.replace(/Signature=..../, 'Signature=0000')
    const answer = await send(forged, { method: 'PUT', body: 'a' })
    assert.equal(answer.status, 403)
    assert.equal(answer.headers['content-type'], 'application/xml')
    clock.advance(600_000)
    assert.equal((await send(preSignedS3Url, { method: 'PUT', body: 'a' })).status, 403)
  })

  it('generate e-invoices: an array in, an outcome for each document out', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const first = await generate(sandbox, token, [invoice('A/1'), invoice('A/2')])
    assert.equal(first.status, 200)
    assert.deepEqual(outcomes(first.json()), ['IRN_GENERATED', 'IRN_GENERATED'])
    assert.match(first.json()[0].govt_response.Irn, /^[0-9a-f]{64}$/)
    const again = await generate(sandbox, token, [invoice('A/2'), invoice('A/3')])
    assert.deepEqual(outcomes(again.json()), ['NOT_CREATED', 'IRN_GENERATED'])
    assert.equal(again.json()[0].govt_response.ErrorDetails[0].error_code, '2150')
  })

  it('leave no trace of a dry run', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    await generate(sandbox, token, [invoice('A/1')], '?dryRun=true')
    assert.deepEqual(outcomes((await generate(sandbox, token, [invoice('A/1')])).json()), ['IRN_GENERATED'])
  })

  it("tell the government's own token error inside a 200", async (test) => {
    const sandbox = await sandboxFor(test)
    const answer = await generate(sandbox, await tokenFrom(sandbox), [invoice('GOVT-1005/7')])
    assert.equal(answer.status, 200)
    const { error_code, error_message } = answer.json()[0].govt_response.ErrorDetails[0]
    assert.deepEqual([error_code, error_message], ['1005', 'Invalid Token'])
  })

  it('answer 400 to an e-invoice call without gstin, array or document number, and above ten documents', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const path = '/einv/v2/eInvoice/generate'
    const headers = { gstin: '29AAFCD5862R000' }
    const bodies = ['{}', '[]', 'no json', '[{}]', JSON.stringify(Array(11).fill(invoice('A/1')))]
    for (const body of bodies) {
      assert.equal((await call(sandbox, path, token, { method: 'PUT', headers, body })).status, 400)
    }
    const body = JSON.stringify([invoice('A/1')])
    assert.equal((await call(sandbox, path, token, { method: 'PUT', body })).status, 400)
    assert.equal((await call(sandbox, path, token, { method: 'POST', headers, body })).status, 405)
  })

  it('download a PDF of the size asked for', async (test) => {
    const sandbox = await sandboxFor(test)
    const path = '/einv/v2/eInvoice/download?irns=1&format=PDF&size=100000'
    const answer = await call(sandbox, path, await tokenFrom(sandbox))
    assert.equal(answer.headers['content-type'], 'application/pdf')
    assert.equal(answer.body.length, 100_000)
    assert.equal(answer.body.subarray(0, 5).toString(), '%PDF-')
    assert.equal(answer.body.subarray(-6).toString(), '%%EOF\n')
  })

  it('serve Saudi Arabia below its base path', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const sending = { method: 'POST', headers: { vat: '300000000000003' }, body: '{"EInvoice":{}}' }
    const answer = await call(sandbox, `${KSA}/v2/einvoices/generate`, token, sending)
    assert.equal(answer.json().Status, 'GENERATED')
    assert.equal((await call(sandbox, `${KSA}/echo`, token)).json().url, `${KSA}/echo`)
  })

  it('take the token of one-integration in its own header alone', async (test) => {
    const sandbox = await sandboxFor(test)
    const token = await tokenFrom(sandbox)
    const url = `${sandbox.url}/one-integration/workflow/status?taskId=1`
    const id = { 'x-integration-id': '0' }
    assert.equal((await send(url, { headers: { 'x-clear-auth-token': token, ...id } })).status, 200)
    assert.equal((await send(url, { headers: { 'x-clear-auth-token': token } })).status, 400)
    assert.equal((await send(url, { headers: { 'x-cleartax-auth-token': token, ...id } })).status, 403)
  })
})

type Running = Awaited<ReturnType<typeof sandboxFor>>

/** Begins an upload with a made-up token and waits for the answer, which comes although no body was sent. */
async function rejectedAtHead(url: string, agent?: Agent) {
  const headers = { 'x-cleartax-auth-token': 'made-up' }
  const req = begin(`${url}/echo`, { method: 'PUT', headers, ...(agent === undefined ? {} : { agent }) })
  req.flushHeaders()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  assert.equal(res.statusCode, 401)
  return { req, res }
}

function expecting(url: string, token: string) {
  const headers = { 'x-cleartax-auth-token': token, expect: '100-continue', 'content-length': '4' }
  const req = begin(`${url}/echo`, { method: 'PUT', headers })
  req.flushHeaders()
  return req
}

function trigger(sandbox: Running, token: string, s3FileUrl: string, kind = 'sales') {
  const body = JSON.stringify({ fileInfo: { s3FileUrl, userFileName: 'x.csv' } })
  return call(sandbox, `/integration/v1/ingest/file/${kind}`, token, { method: 'POST', body })
}

function generate(sandbox: Running, token: string, documents: unknown[], search = '') {
  const headers = { gstin: '29AAFCD5862R000', 'content-type': 'application/json' }
  const sending = { method: 'PUT', headers, body: JSON.stringify(documents) }
  return call(sandbox, `/einv/v2/eInvoice/generate${search}`, token, sending)
}

function invoice(number: string) {
  return { transaction: { Version: '1.1', DocDtls: { Typ: 'INV', No: number, Dt: '10/04/2023' } } }
}

function outcomes(answer: { document_status: string }[]): string[] {
  return answer.map(({ document_status }) => document_status)
}
