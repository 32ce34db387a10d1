import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ProblemError } from '../../../proxy/lib/errors.ts'
import { RawClient } from '../../support/raw-client.ts'
import { answer, answerOk, type RawRequest } from '../../support/raw-upstream.ts'
import { assertProblem, eventually, quiet, type Suite, within } from './world.ts'

async function socketPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'relay-'))
  t.after(() => rm(folder, { recursive: true }))
  return join(folder, 'relay.sock')
}

export function listenerCases({ check, start, startOn }: Suite): void {
  check('bad-http', 'what is not HTTP is answered 400 and closed', async (t) => {
    const world = await start(t)
    for (const bytes of [
      'NONSENSE\r\n\r\n',
      'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n',
      'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
    ]) {
      const client = await world.client()
      client.write(bytes)
      assertProblem(await within(2_000, bytes, client.answer()), 'request_invalid')
      await within(2_000, 'the close', client.closed)
    }
    assert.equal(world.forwarder.counters.problems.get('request_invalid'), 3)
  })

  check('431', 'a head beyond the limit is answered 431 and closed', async (t) => {
    const world = await start(t, { options: { maxHeaderBytes: 4096 } })
    const client = await world.client()
    client.socket.on('error', () => {})
    client.write(world.message('GET', '/', [`X-Big: ${'x'.repeat(8192)}`]))
    assertProblem(await client.answer(), 'request_too_large')
    await within(2_000, 'the close', client.closed)
    assert.equal((await world.call('GET', '/', [`X-Big: ${'x'.repeat(3000)}`])).status, 200)
    assert.equal(world.upstream.requests.length, 1)
  })

  check(
    'max-connections',
    'a caller beyond the limit is served when another has gone, and not before',
    async (t) => {
      const requests: RawRequest[] = []
      const world = await start(t, {
        options: { maxConnections: 2 },
        script: (request) => void requests.push(request),
      })
      const busy = [await world.client(), await world.client()]
      for (const client of busy) client.write(world.message('GET', '/'))
      await eventually(() => assert.equal(requests.length, 2))
      const third = await world.client()
      third.write(world.message('GET', '/third'))
      await quiet()
      assert.equal(requests.length, 2)
      for (const request of requests) answer(request, 200, [], 'done')
      for (const client of busy) assert.equal((await client.answer()).text, 'done')
      busy[0]?.destroy()
      answer(await world.upstream.request(2), 200, [], 'served')
      assert.equal((await third.answer()).text, 'served')
    },
  )

  check(
    'unix',
    'a socket file is listened on, and one left behind by a dead process is replaced',
    async (t) => {
      const path = await socketPath(t)
      const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
      await once(spawn(process.execPath, ['-e', script]), 'exit')
      const { address } = await startOn(t, { kind: 'unix', path })
      assert.equal(address, `unix:${path}`)
      const client = await RawClient.connect({ path })
      t.after(() => client.destroy())
      assert.equal((await client.call('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')).text, 'ok')
    },
  )

  check('unix-in-use', 'a socket file somebody answers on is left alone', async (t) => {
    const path = await socketPath(t)
    const other = createServer((socket) => void socket.on('error', () => {}).end('mine')).listen(path)
    await once(other, 'listening')
    t.after(() => other.close())
    await assert.rejects(startOn(t, { kind: 'unix', path }), { code: 'EADDRINUSE' })
    const client = await RawClient.connect({ path })
    assert.equal(String(await client.reader.toEnd()), 'mine')
  })

  check('port-in-use', 'a port in use is reported with the system error', async (t) => {
    const world = await start(t)
    const listen = { kind: 'tcp', host: '127.0.0.1', port: world.port } as const
    await assert.rejects(startOn(t, listen), { code: 'EADDRINUSE' })
  })

  check('drain', 'draining lets calls end, answers new ones 503 and takes no new connections', async (t) => {
    const world = await start(t, { script: () => {} })
    const [busy, idle] = [await world.client(), await world.client()]
    busy.write(world.message('GET', '/'))
    const request = await world.upstream.request(0)
    const drained = world.forwarder.drain(new AbortController().signal)
    assertProblem(await idle.call(world.message('GET', '/late')), 'shutting_down')
    await assert.rejects(RawClient.connect({ port: world.port, host: '127.0.0.1' }), { code: 'ECONNREFUSED' })
    answer(request, 200, [], 'done')
    const got = await busy.answer()
    assert.equal(got.text, 'done')
    assert.equal(got.fields.get('connection'), 'close')
    await within(2_000, 'the end of draining', drained)
    await within(2_000, 'the connections to close', Promise.all([busy.closed, idle.closed]))
    assert.equal(world.upstream.requests.length, 1)
  })

  check('drain-unread', 'a call that had come when draining began is answered 503', async (t) => {
    const world = await start(t)
    const clients = [await world.client(), await world.client(), await world.client()]
    await clients[0]?.call(world.message('GET', '/'))
    for (const client of clients) client.write(world.message('GET', '/late'))
    const drained = world.forwarder.drain(new AbortController().signal)
    for (const client of clients) assertProblem(await client.answer(), 'shutting_down')
    await within(2_000, 'the end of draining', drained)
  })

  check('drain-early', 'an answer that came before its request was read survives the draining', async (t) => {
    const world = await start(t, {
      script: ({ socket }) => {
        socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
        void world.forwarder.drain(AbortSignal.timeout(5_000))
      },
    })
    const client = await world.client()
    const { socket } = client
    // It reads no answer before it has sent what it can.
    socket
      .on('error', () => {})
      .removeAllListeners('data')
      .pause()
    client.write(world.message('POST', '/', ['Content-Length: 41943040']))
    const piece = Buffer.alloc(65_536)
    for (let count = 0; count < 300; count++) client.write(piece)
    await world.upstream.request(0)
    await quiet(300)
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
    })
    socket.resume()
    await eventually(() => assert.match(text, /^HTTP\/1\.1 413 /))
    client.destroy()
  })

  check('drain-cut', 'what is open when the time for draining is up is cut', async (t) => {
    const world = await start(t, { script: () => {} })
    const client = await world.client()
    client.write(world.message('GET', '/'))
    const request = await world.upstream.request(0)
    const upTime = new AbortController()
    const drained = world.forwarder.drain(upTime.signal)
    upTime.abort()
    await within(2_000, 'the end of draining', drained)
    await within(2_000, 'the connections to close', Promise.all([client.closed, request.closed]))
  })

  check('drain-idle', 'with nothing under way draining ends at once', async (t) => {
    const world = await start(t)
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/'))).status, 200)
    await within(2_000, 'the end of draining', world.forwarder.drain(new AbortController().signal))
    await within(2_000, 'the close', client.closed)
    await eventually(() => assert.equal(world.upstream.sockets.size, 0))
  })

  check('counters', 'answers are counted by method and status, problems by code', async (t) => {
    const world = await start(t, {
      script: (request) => (request.target === '/201' ? answer(request, 201) : answerOk(request)),
    })
    await world.call('GET', '/')
    await world.call('POST', '/201', [], 'x')
    await world.call('PROPFIND', '/')
    await world.call('GET', '/..')
    const { counters } = world.forwarder
    await eventually(() => assert.equal(counters.inFlight, 0))
    const route = counters.routes.get('default')
    assert.deepEqual(Object.fromEntries(route?.answers ?? []), {
      'GET 200': 1,
      'POST 201': 1,
      'OTHER 200': 1,
    })
    assert.deepEqual(Object.fromEntries(counters.problems), { request_invalid: 1 })
    assert.equal(
      route?.durationCounts.reduce((sum, count) => sum + count, 0),
      3,
    )
    assert.ok((route?.durationSumS ?? 0) > 0)
  })

  check('access-log', 'calls leave a line as configured, without query and token', async (t) => {
    const all = await start(t, { options: { accessLog: 'all' } })
    await all.call('GET', '/a/b?secret=1')
    await eventually(() => assert.equal(all.log.length, 1))
    const { event, fields } = all.log[0] ?? { event: '', fields: {} }
    assert.equal(event, 'call')
    const { durationMs, ...rest } = fields
    assert.equal(typeof durationMs, 'number')
    assert.deepEqual(rest, {
      method: 'GET',
      route: 'default',
      path: '/a/b',
      status: 200,
      code: null,
      replayed: false,
      requestId: null,
      traceId: null,
    })

    const errors = await start(t, {
      options: { accessLog: 'errors' },
      script: (request) => answer(request, Number(request.target.slice(1))),
    })
    for (const target of ['/200', '/404', '/503', '/..']) await errors.call('GET', target)
    await eventually(() => assert.equal(errors.log.length, 2))
    assert.deepEqual(
      errors.log.map((line) => [line.fields['status'], line.fields['code']]),
      [
        [503, null],
        [400, 'request_invalid'],
      ],
    )

    const off = await start(t)
    await off.call('GET', '/..')
    assert.deepEqual(off.log, [])
  })

  check('call-ids', 'trace and request id pass, are logged, and come back in own answers', async (t) => {
    const [requestId, traceId] = ['a3f1c2e0-1b2c/7', '0af7651916cd43dd8448eb211c80319c']
    const ids = [`X-Request-ID: ${requestId}`, `Traceparent: 00-${traceId}-b7ad6b7169203331-01`]
    const world = await start(t, { options: { accessLog: 'all' } })
    const passed = await world.call('GET', '/', ids)
    assert.equal(passed.fields.get('x-request-id'), null)
    const received = world.upstream.requests[0]?.fields
    assert.equal(received?.get('x-request-id'), requestId)
    assert.match(received?.get('traceparent') ?? '', new RegExp(traceId))
    const declined = await world.call('GET', '/integration/v1/authz/token', ids)
    assertProblem(declined, 'request_forbidden')
    assert.equal(declined.fields.get('x-request-id'), requestId)
    const failing = await start(t, {
      options: { accessLog: 'errors' },
      tokens: {
        peek: () => null,
        current: async () => Promise.reject(new ProblemError('token_unavailable')),
      },
    })
    const failed = await failing.call('GET', '/', ids)
    assert.equal(failed.fields.get('x-request-id'), requestId)
    await eventually(() => assert.equal(world.log.length + failing.log.length, 3))
    for (const { fields } of [...world.log, ...failing.log]) {
      assert.equal(fields['requestId'], requestId)
      assert.equal(fields['traceId'], traceId)
    }
  })

  check('call-ids-hostile', 'ids that could be more than ids are neither logged nor echoed', async (t) => {
    const world = await start(t, { options: { accessLog: 'all' } })
    const hostile = ['a\u001b[2J', 'two words', '"\u00e9"', 'x'.repeat(129), '']
    for (const id of hostile) {
      const answer = await world.call('GET', '/integration/v1/authz/token', [`x-request-id: ${id}`])
      assert.equal(answer.fields.get('x-request-id'), null, id)
    }
    for (const parent of [
      '00-xyz',
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `ff-${'a'.repeat(32)}-b7ad6b7169203331-01`,
    ])
      await world.call('GET', '/', [`traceparent: ${parent}`])
    await eventually(() => assert.equal(world.log.length, hostile.length + 3))
    for (const { fields } of world.log)
      assert.deepEqual([fields['requestId'], fields['traceId']], [null, null])
  })

  check(
    'call-ids-next',
    'the id of one call is not in the answer to the next on its connection',
    async (t) => {
      const world = await start(t)
      const client = await world.client()
      await client.call(world.message('GET', '/', ['x-request-id: first']))
      client.write('NONSENSE\r\n\r\n')
      const answer = await client.answer()
      assertProblem(answer, 'request_invalid')
      assert.equal(answer.fields.get('x-request-id'), null)
    },
  )
}
