import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import request from 'supertest'
import { opsApp } from '../../proxy/ops/app.ts'
import { credential, emptyCredential, type LoggedEvent, opsDeps, recordingLog } from './deps.ts'

const GET_PATHS = ['/livez', '/startupz', '/readyz', '/status', '/metrics', '/']

describe('ops address', () => {
  it('answers every documented path when all is well', async () => {
    const app = opsApp(opsDeps())
    for (const path of GET_PATHS) await request(app).get(path).expect(200)
  })

  it('keeps probes apart: without a token it is live and started but not ready', async () => {
    const app = opsApp(opsDeps({ credentials: () => [emptyCredential()] }))
    await request(app).get('/livez').expect(200, { ok: true, reason: null })
    await request(app).get('/startupz').expect(200, { ok: true, reason: null })
    const { body } = await request(app)
      .get('/readyz')
      .expect(503)
      .expect('content-type', /application\/json/)
    assert.deepEqual(body, { ok: false, reason: 'no usable token for credential default: starting' })
  })

  it('has not started until the listeners are open', async () => {
    const app = opsApp(opsDeps({ lifecycle: { started: () => false, draining: () => false } }))
    await request(app).get('/livez').expect(200)
    await request(app).get('/startupz').expect(503)
    await request(app).get('/readyz').expect(503)
  })

  it('is live and started but not ready while draining', async () => {
    const app = opsApp(opsDeps({ lifecycle: { started: () => true, draining: () => true } }))
    await request(app).get('/livez').expect(200)
    await request(app).get('/startupz').expect(200)
    const { body } = await request(app).get('/readyz').expect(503)
    assert.match(body.reason, /^draining/)
  })

  it('turns ready by itself once a token is held', async () => {
    let held = false
    const app = opsApp(opsDeps({ credentials: () => [held ? credential() : emptyCredential()] }))
    await request(app).get('/readyz').expect(503)
    held = true
    await request(app).get('/readyz').expect(200)
  })

  it('shows the same readiness at /status, which is 200 even when not ready', async () => {
    const app = opsApp(opsDeps({ credentials: () => [emptyCredential()] }))
    const { body } = await request(app)
      .get('/status')
      .expect(200)
      .expect('content-type', /application\/json/)
    assert.equal(body.ready, false)
    assert.match(body.reason, /credential default/)
    assert.equal(body.version, '1.2.3')
    assert.equal(body.uptime_s, 90)
  })

  it('serves metrics as the text format', async () => {
    const { text } = await request(opsApp(opsDeps()))
      .get('/metrics')
      .expect('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    assert.match(text, /^token_sidecar_build_info\{version="1\.2\.3",node="24\.0\.0"\} 1$/m)
  })

  it('answers HEAD like GET without the body', async () => {
    for (const path of GET_PATHS) {
      const { text } = await request(opsApp(opsDeps())).head(path).expect(200)
      assert.equal(text, undefined)
    }
  })

  it('lets nothing be cached, sniffed or framed, and does not name its framework', async () => {
    const app = opsApp(opsDeps())
    for (const path of [...GET_PATHS, '/nothing']) {
      const { headers } = await request(app).get(path)
      assert.equal(headers['cache-control'], 'no-store', path)
      assert.equal(headers['x-content-type-options'], 'nosniff', path)
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path)
      assert.match(
        headers['content-security-policy'] ?? '',
        /^default-src 'none'.*frame-ancestors 'none'/,
        path,
      )
      assert.equal(headers['x-powered-by'], undefined, path)
      assert.equal(headers['etag'], undefined, path)
    }
  })

  it('answers 404 with a problem for any other path or spelling', async () => {
    const app = opsApp(opsDeps())
    for (const path of ['/nothing', '/livez/', '/LIVEZ', '/readyz/x', '/%2e%2e/status', '/%']) {
      const { body } = await request(app)
        .get(path)
        .expect(404)
        .expect('content-type', 'application/problem+json')
      assert.equal(body.code, 'route_not_found')
      assert.equal(body.status, 404)
    }
  })

  it('answers 405 and names the methods a path has', async () => {
    const app = opsApp(opsDeps())
    for (const path of GET_PATHS) {
      const { body } = await request(app).post(path).expect(405).expect('allow', 'GET, HEAD')
      assert.equal(body.code, 'method_not_allowed')
    }
    for (const path of ['/rotate', '/quit']) await request(app).get(path).expect(405).expect('allow', 'POST')
    await request(app).options('/quit').expect(405).expect('allow', 'POST')
  })

  it('ignores a query on the probes', async () => {
    await request(opsApp(opsDeps())).get('/livez?verbose=1&a[b]=c').expect(200)
  })

  it('answers an unexpected error with a bare 500 and logs it', async () => {
    const events: LoggedEvent[] = []
    const failure = new Error('inner detail')
    const app = opsApp(
      opsDeps({
        log: recordingLog(events),
        credentials() {
          throw failure
        },
      }),
    )
    for (const path of ['/readyz', '/metrics', '/status', '/']) {
      const { text } = await request(app)
        .get(path)
        .expect(500)
        .expect('content-type', 'application/problem+json')
      assert.equal(JSON.parse(text).code, 'internal_error')
      assert.doesNotMatch(text, /inner detail|at .*\.ts/)
      const logged = events.pop()
      assert.equal(logged?.level, 'error')
      assert.equal(logged?.event, 'ops_request_failed')
      assert.deepEqual(logged?.fields, { path, method: 'GET', error: failure })
    }
    await request(app).get('/livez').expect(200)
  })
})
