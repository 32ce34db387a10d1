import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import request from 'supertest'
import { ProblemError } from '../../proxy/lib/errors.ts'
import type { RotateResult } from '../../proxy/ops/admin.ts'
import { type OpsDeps, opsApp } from '../../proxy/ops/app.ts'
import { credential, type LoggedEvent, NOW, opsDeps, recordingLog } from './deps.ts'

const MINTED: RotateResult = {
  kind: 'minted',
  credential: 'default',
  generation: 8,
  fingerprint: 'ffeeddcc',
  mintedAt: NOW,
  validTill: NOW + 1000,
}

/** An app whose rotations are recorded and end with `result`. */
function rotating(result: RotateResult = MINTED, changes: Partial<OpsDeps> = {}) {
  const asked: string[] = []
  const rotate = async (name: string) => {
    asked.push(name)
    return result
  }
  return { asked, app: opsApp(opsDeps({ rotate, ...changes })) }
}

function rotateOn(app: ReturnType<typeof opsApp>, path = '/rotate') {
  return request(app).post(path).set('x-sidecar-request', '1')
}

const two = () => [credential(), credential({ name: 'gls' })]

describe('POST /rotate', () => {
  it('mints for the only credential and answers with the new token’s data, not the token', async () => {
    const { app, asked } = rotating()
    await rotateOn(app).expect(200, {
      credential: 'default',
      generation: 8,
      fingerprint: 'ffeeddcc',
      minted_at: '2030-01-01T00:00:00.000Z',
      valid_till: '2030-01-01T00:00:01.000Z',
    })
    assert.deepEqual(asked, ['default'])
  })

  it('takes the credential from the query or from a JSON body', async () => {
    const { app, asked } = rotating(MINTED, { credentials: two })
    await rotateOn(app, '/rotate?credential=gls').expect(200)
    await rotateOn(app).send({ credential: 'gls' }).expect(200)
    assert.deepEqual(asked, ['gls', 'gls'])
  })

  it('does not guess among several credentials', async () => {
    const { app, asked } = rotating(MINTED, { credentials: two })
    const { body } = await rotateOn(app).expect(400)
    assert.equal(body.code, 'credential_required')
    assert.deepEqual(body.credentials, ['default', 'gls'])
    assert.deepEqual(asked, [])
  })

  it('does not know other credentials', async () => {
    const { app, asked } = rotating()
    const { body } = await rotateOn(app, '/rotate?credential=other').expect(404)
    assert.equal(body.code, 'credential_unknown')
    assert.deepEqual(asked, [])
  })

  it('answers 503 with the code, the error id and when to ask again', async () => {
    const { app } = rotating({
      kind: 'failed',
      credential: 'default',
      code: 'mint_quota_exhausted',
      errorId: 'e-9',
      retryAfterS: 59.2,
    })
    const { body } = await rotateOn(app).expect(503).expect('retry-after', '60')
    assert.equal(body.code, 'mint_quota_exhausted')
    assert.equal(body.credential, 'default')
    assert.equal(body.error_id, 'e-9')
  })

  it('treats a thrown problem as a failed rotation and anything else as a bug', async () => {
    const events: LoggedEvent[] = []
    let thrown: Error = new ProblemError('shutting_down', { retryAfterS: 2 })
    const app = opsApp(
      opsDeps({
        log: recordingLog(events),
        async rotate() {
          throw thrown
        },
      }),
    )
    const { body } = await rotateOn(app).expect(503).expect('retry-after', '2')
    assert.equal(body.code, 'shutting_down')
    thrown = new Error('bug')
    await rotateOn(app).expect(500)
    assert.equal(events.at(-1)?.event, 'ops_request_failed')
  })

  it('refuses bodies that are not what was asked for', async () => {
    const { app, asked } = rotating()
    const send = (body: string) => rotateOn(app).set('content-type', 'application/json').send(body)
    for (const body of ['{', '[]', '1', 'null', '{"credential":1}']) {
      const answer = await send(body).expect(400)
      assert.equal(answer.body.code, 'request_invalid', body)
    }
    const { body } = await send(JSON.stringify({ credential: 'x'.repeat(2000) })).expect(413)
    assert.equal(body.code, 'request_too_large')
    assert.deepEqual(asked, [])
  })

  it('tells the rotation when the caller leaves, and survives it', async () => {
    let asked: (signal: AbortSignal) => void = () => {}
    const signalled = new Promise<AbortSignal>((resolve) => {
      asked = resolve
    })
    const events: LoggedEvent[] = []
    let ended = () => {}
    const end = new Promise<void>((resolve) => {
      ended = resolve
    })
    const app = opsApp(
      opsDeps({
        log: recordingLog(events),
        async rotate(_name, signal) {
          asked(signal)
          await once(signal, 'abort')
          ended()
          throw signal.reason
        },
      }),
    )
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write(
      'POST /rotate HTTP/1.1\r\nHost: localhost\r\nx-sidecar-request: 1\r\nContent-Length: 0\r\n\r\n',
    )
    const signal = await signalled
    assert.equal(signal.aborted, false)
    socket.destroy()
    await end
    await new Promise((resolve) => server.close(resolve))
    assert.deepEqual(
      events.map(({ event }) => event),
      ['rotate_requested'],
    )
  })
})

describe('POST /quit', () => {
  it('answers 202 first and quits once', async () => {
    const order: string[] = []
    let quitted = () => {}
    const done = new Promise<void>((resolve) => {
      quitted = resolve
    })
    const app = opsApp(
      opsDeps({
        quit() {
          order.push('quit')
          quitted()
        },
      }),
    )
    const { body } = await request(app).post('/quit').set('x-sidecar-request', '1').expect(202)
    assert.equal(body.ok, true)
    await done
    assert.deepEqual(order, ['quit'])
  })
})

describe('actions on the ops address', () => {
  const refused: [why: string, headers: Record<string, string>, detail: RegExp][] = [
    ['without the mark', { 'x-sidecar-request': '' }, /x-sidecar-request: 1/],
    ['with another mark', { 'x-sidecar-request': 'yes' }, /x-sidecar-request: 1/],
    ['for a host name that was rebound to here', { host: 'evil.example:9464' }, /Host/],
    ['for a host that only begins like a local one', { host: 'localhost.evil.example' }, /Host/],
    ['from a page of another site', { origin: 'https://evil.example' }, /another site/],
    ['from a page without an origin', { origin: 'null' }, /another site/],
    [
      'from a page on another local port',
      { host: 'localhost:9464', origin: 'http://localhost:3000' },
      /another site/,
    ],
    ['that a browser calls cross-site', { 'sec-fetch-site': 'cross-site' }, /another site/],
    ['that a browser calls same-site', { 'sec-fetch-site': 'same-site' }, /another site/],
    ['that came through a proxy', { 'x-forwarded-for': '203.0.113.9' }, /x-forwarded-for/],
    ['that came through a standard proxy', { forwarded: 'for=203.0.113.9' }, /forwarded/],
  ]
  for (const [why, headers, detail] of refused) {
    it(`refuses a request ${why}, saying so`, async () => {
      const events: LoggedEvent[] = []
      const { app, asked } = rotating(MINTED, { log: recordingLog(events) })
      for (const path of ['/rotate', '/quit']) {
        const { body } = await request(app)
          .post(path)
          .set({ 'x-sidecar-request': '1', ...headers })
          .expect(403)
          .expect('content-type', 'application/problem+json')
        assert.equal(body.code, 'request_forbidden')
        assert.match(body.detail, detail)
        assert.equal(events.pop()?.event, 'ops_request_refused')
      }
      assert.deepEqual(asked, [])
    })
  }

  it('accepts local host names and the page it serves itself', async () => {
    const { app } = rotating()
    for (const host of ['localhost', 'LOCALHOST:9464', '127.0.0.1:80', '127.1.2.3', '[::1]:9464']) {
      await rotateOn(app).set('host', host).expect(200)
      const own = { host, origin: `http://${host.toLowerCase()}`, 'sec-fetch-site': 'same-origin' }
      await rotateOn(app).set(own).expect(200)
    }
  })
})
