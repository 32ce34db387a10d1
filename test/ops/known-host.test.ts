import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import supertest from 'supertest'
import { opsApp } from '../../proxy/ops/app.ts'
import { isKnownHost } from '../../proxy/ops/known-host.ts'
import { type LoggedEvent, opsDeps, recordingLog } from './deps.ts'

describe('the Host of a request to the ops address', () => {
  const allowed = new Set(['sidecar.example'])

  it('is known when it is an address, a name of the cluster or one of ALLOWED_HOSTS', () => {
    for (const host of [
      'localhost',
      'LOCALHOST:9464',
      '127.0.0.1:9464',
      '10.1.2.3',
      '[::1]:9464',
      '[fd00::1]',
      'token-sidecar:9464',
      'token-sidecar.shops.svc',
      'token-sidecar.shops.svc.cluster.local:9464',
      'box.internal.',
      'sidecar.example:1',
      'Sidecar.Example.',
      undefined,
    ]) {
      assert.equal(isKnownHost(host, allowed), true, host)
    }
  })

  it('is not known when somebody can have bought it, or when it is no host', () => {
    for (const host of [
      'evil.example',
      'evil.example:9464',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'local.evil.example.',
      'evil.sidecar.example',
      '',
      ':9464',
      '[evil.example]',
      '[::1].evil.example',
      'localhost:9464:1',
      'user@localhost.example',
    ]) {
      assert.equal(isKnownHost(host, allowed), false, host)
    }
  })
})

describe('a page whose name was pointed at the ops address', () => {
  for (const path of ['/', '/status', '/metrics']) {
    it(`cannot read ${path}, and who runs the sidecar learns of it`, async () => {
      const events: LoggedEvent[] = []
      const app = opsApp(opsDeps({ log: recordingLog(events) }))
      const refused = await supertest(app).get(path).set('Host', 'evil.example:9464')
      assert.equal(refused.status, 403)
      assert.equal(refused.body.code, 'request_forbidden')
      assert.deepEqual(
        events.map(({ event, fields }) => [event, fields['path']]),
        [['ops_request_refused', path]],
      )
      assert.equal((await supertest(app).get(path).set('Host', 'localhost')).status, 200)
    })
  }

  it('learns no more from probes than whether they are well', async () => {
    for (const path of ['/livez', '/startupz', '/readyz']) {
      const answer = await supertest(opsApp(opsDeps())).get(path).set('Host', 'probe.example')
      assert.equal(answer.status, 200)
      assert.deepEqual(Object.keys(answer.body), ['ok', 'reason'])
    }
  })

  it('is welcome under a name of ALLOWED_HOSTS', async () => {
    const app = opsApp(opsDeps({ allowedHosts: ['sidecar.example'] }))
    assert.equal((await supertest(app).get('/status').set('Host', 'sidecar.example')).status, 200)
  })
})
