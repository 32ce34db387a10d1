import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { answer, answerOk, type RawRequest } from '../../support/raw-upstream.ts'
import { eventually, quiet, type Suite, within } from './world.ts'

export function connectionCases({ check, start }: Suite): void {
  check('keep-alive', 'calls share connections on both sides', async (t) => {
    const world = await start(t)
    const client = await world.client()
    for (let at = 0; at < 5; at++)
      assert.equal((await client.call(world.message('POST', '/', [], 'x'))).text, 'ok')
    assert.equal(world.upstream.connections, 1)
    const { counters } = world.forwarder
    await eventually(() => assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [0, 1]))
    for (const socket of world.upstream.sockets) socket.destroy()
    await eventually(() => assert.deepEqual([counters.upstreamActive, counters.upstreamIdle], [0, 0]))
  })

  check('H10', 'an upstream that closes after each answer does not close the caller', async (t) => {
    const world = await start(t, {
      script: (request) => {
        answer(request, 200, ['Connection: close'], 'ok')
        request.socket.end()
      },
    })
    const client = await world.client()
    for (let at = 0; at < 3; at++) assert.equal((await client.call(world.message('GET', '/'))).text, 'ok')
    assert.equal(world.upstream.connections, 3)
  })

  check('close', 'a caller that asks for it has its connection closed after the answer', async (t) => {
    const world = await start(t)
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/', ['Connection: close']))).text, 'ok')
    await within(2_000, 'the close', client.closed)
  })

  check('K03', 'a pooled connection the upstream closed while idle costs no call', async (t) => {
    const world = await start(t)
    for (const method of ['GET', 'POST', 'POST']) {
      assert.equal((await world.call(method, '/', [], method === 'POST' ? 'x' : undefined)).status, 200)
      const [socket] = world.upstream.sockets
      socket?.end()
      if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
      await quiet(20)
    }
  })

  /** Answers the first request of each connection and drops the connection on the second. */
  const dropSecond = async (request: RawRequest) => {
    await request.body
    const isSecond = seen.has(request.socket)
    seen.add(request.socket)
    if (isSecond) request.socket.resetAndDestroy()
    else answer(request, 200, [], 'ok')
  }
  const seen = new WeakSet<object>()

  check('K04', 'an idempotent call that met a dying pooled connection is sent again', async (t) => {
    const world = await start(t, { script: dropSecond })
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/warm'))).status, 200)
    assert.equal((await client.call(world.message('PUT', '/', [], 'body'))).status, 200)
    const sendings = world.upstream.requests.filter(({ method }) => method === 'PUT')
    assert.equal(sendings.length, 2)
    assert.equal(String(await sendings[1]?.body), 'body')
  })

  check('K05', 'a POST the upstream may have seen is never sent twice', async (t) => {
    const world = await start(t, { script: dropSecond })
    const client = await world.client()
    assert.equal((await client.call(world.message('POST', '/warm', [], 'x'))).status, 200)
    assert.equal((await client.call(world.message('POST', '/', [], 'body'))).status, 502)
    await quiet()
    assert.equal(world.upstream.requests.filter(({ target }) => target === '/').length, 1)
  })

  check('K06', 'a call is not sent again after an answer has begun, nor after a timeout', async (t) => {
    const world = await start(t, {
      options: { upstreamTimeoutMs: 150 },
      script: (request) => (request.target === '/warm' ? answerOk(request) : undefined),
    })
    const client = await world.client()
    await client.call(world.message('GET', '/warm'))
    assert.equal((await client.call(world.message('GET', '/silent'))).status, 504)
    await quiet()
    assert.equal(world.upstream.requests.length, 2)
  })

  check('K07', 'bytes on an idle upstream connection do not answer the next call', async (t) => {
    const world = await start(t, { script: (request) => answer(request, 200, [], request.target) })
    assert.equal((await world.call('GET', '/1')).text, '/1')
    const [socket] = world.upstream.sockets
    assert.ok(socket)
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
    await Promise.race([new Promise((resolve) => socket.once('close', resolve)), delay(200)])
    for (const target of ['/2', '/3']) assert.equal((await world.call('GET', target)).text, target)
    const later = world.upstream.requests.slice(1).map(({ connection }) => connection)
    assert.equal(later.includes(1), false, 'the connection was used again')
  })

  check('K08', 'a connection with an unfinished exchange is not used again', async (t) => {
    const world = await start(t, {
      script: (request) => {
        if (request.target === '/endless')
          request.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npiece')
        else if (request.target !== '/stuck') answer(request, 200, [], request.target)
      },
    })
    const download = await world.client()
    download.write(world.message('GET', '/endless'))
    await download.reader.until('piece')
    download.destroy()
    const upload = await world.client()
    upload.write(`${world.message('POST', '/stuck', ['Content-Length: 99'])}part`)
    await world.upstream.request(1)
    upload.destroy()
    await eventually(() => assert.equal(world.forwarder.counters.inFlight, 0))
    for (let at = 0; at < 4; at++) assert.equal((await world.call('GET', `/${at}`)).text, `/${at}`)
  })

  check('K09', 'of many concurrent calls each gets its own answer', async (t) => {
    const world = await start(t, {
      script: async (request) => {
        const body = await request.body
        await delay(Number(request.target.slice(1)) % 7)
        answer(request, 200, [`X-Id: ${request.fields.get('x-id')}`], `${request.target} ${body}`)
      },
    })
    const calls = Array.from({ length: 80 }, async (_, at) => {
      const method = at % 2 ? 'POST' : 'GET'
      const got = await world.call(method, `/${at}`, [`X-Id: ${at}`], at % 2 ? `body ${at}` : undefined)
      assert.deepEqual([got.status, got.fields.get('x-id')], [200, String(at)])
      assert.equal(got.text, `/${at} ${at % 2 ? `body ${at}` : ''}`)
    })
    await Promise.all(calls)
    const { counters } = world.forwarder
    await eventually(() => assert.equal(counters.inFlight, 0))
    const { answers } = counters.routes.get('default') ?? { answers: new Map() }
    assert.deepEqual([answers.get('GET 200'), answers.get('POST 200')], [40, 40])
  })

  check('pipelining', 'pipelined calls are made and answered one after the other', async (t) => {
    let concurrent = 0
    const world = await start(t, {
      script: async (request) => {
        assert.equal(++concurrent, 1)
        const body = await request.body
        await delay(20 - 5 * Number(request.target.slice(1)))
        concurrent--
        answer(request, 200, [], `${request.target} ${body}`)
      },
    })
    const client = await world.client()
    client.write([1, 2, 3].map((at) => world.message('POST', `/${at}`, [], `body ${at}`)).join(''))
    for (const at of [1, 2, 3]) assert.equal((await client.answer('POST')).text, `/${at} body ${at}`)
    assert.equal(world.upstream.requests.length, 3)
  })

  check('bad-after-good', 'bad bytes after a good call do not cost its answer', async (t) => {
    const world = await start(t, {
      script: async (request) => {
        await delay(30)
        answer(request, 200, [], 'ok')
      },
    })
    const client = await world.client()
    client.write(`${world.message('GET', '/')}not HTTP at all\r\n\r\n`)
    assert.equal((await client.answer()).text, 'ok')
    assert.equal((await client.answer()).status, 400)
    await within(2_000, 'the close', client.closed)
  })

  check('refused-body', 'the body of a refused call is not taken for the next one', async (t) => {
    const world = await start(t)
    const hidden = `GET /hidden HTTP/1.1\r\nHost: ${world.host}\r\n\r\n`
    for (const target of ['/..', '/integration/v1/authz/token']) {
      const client = await world.client()
      const refused = await client.call(world.message('POST', target, [], hidden))
      assert.ok(refused.status === 400 || refused.status === 403)
      client.write(world.message('GET', '/next'))
      const next = await client.answer().catch(() => null)
      assert.ok(next === null || next.text === 'ok')
    }
    await quiet()
    const targets = world.upstream.requests.map((request) => request.target)
    assert.deepEqual([...new Set(targets)], targets.length === 0 ? [] : ['/next'])
  })

  check(
    'bad-body',
    'bad framing in a body ends the call, and the upstream never sees it whole',
    async (t) => {
      const world = await start(t)
      const client = await world.client()
      client.write(`${world.message('POST', '/', ['Transfer-Encoding: chunked'])}5\r\npiece\r\n`)
      const request = await world.upstream.request(0)
      client.write('nonsense\r\n')
      const got = await client.answer('POST')
      assert.equal(got.status, 400)
      await within(2_000, 'the upstream connection to close', request.closed)
      assert.equal(request.complete, false)
    },
  )
}
