import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { answer, type RawRequest } from '../../support/raw-upstream.ts'
import { eventually, quiet, type Suite, TOKEN, within } from './world.ts'

const MIB = 1024 * 1024
const OFFERED_BYTES = 64 * MIB
const BOUND_BYTES = 40 * MIB

/** Writes until the other side has taken nothing for a while, or everything is written; the count goes up as it is taken. */
function pour(socket: Socket, bytes: number): { taken(): number; done: Promise<void> } {
  const piece = Buffer.alloc(256 * 1024, 'x')
  let written = 0
  const done = (async () => {
    while (written < bytes) {
      written += piece.length
      if (!socket.write(piece)) await once(socket, 'drain')
    }
  })()
  done.catch(() => {})
  return { taken: () => written - socket.writableLength, done }
}

/** The count once it no longer changes. */
async function settledCount(count: () => number): Promise<number> {
  for (let last = -1; ; ) {
    await quiet(250)
    if (count() === last) return last
    last = count()
  }
}

export function streamingCases({ check, start }: Suite): void {
  check('S01', 'the head of an answer is passed on before any body exists', async (t) => {
    const world = await start(t, {
      script: ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'),
    })
    const client = await world.client()
    client.write(world.message('GET', '/'))
    assert.equal((await within(2_000, 'the head', client.head())).status, 200)
  })

  check('S02', 'events arrive one by one, masked ones too', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write(
          'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
        ),
    })
    const client = await world.client()
    client.write(world.message('GET', '/'))
    const { socket } = await world.upstream.request(0)
    await client.head()
    for (const event of ['data: 1\n\n', `data: ${TOKEN}\n\n`, 'data: 3\n\n']) {
      socket.write(`${event.length.toString(16)}\r\n${event}\r\n`)
      const seen = event.replace(TOKEN, '*'.repeat(TOKEN.length))
      await within(2_000, event, client.reader.until(seen))
    }
    socket.write('0\r\n\r\n')
    await within(2_000, 'the end', client.reader.until('0\r\n\r\n'))
  })

  check('upload', 'an upload reaches the upstream piece by piece', async (t) => {
    const world = await start(t)
    const client = await world.client()
    client.write(world.message('POST', '/', ['Transfer-Encoding: chunked']))
    const request = await world.upstream.request(0)
    for (const piece of ['one', 'two', 'three']) {
      client.write(`${piece.length}\r\n${piece}\r\n`)
      await eventually(() => assert.equal(request.pieces.at(-1)?.toString(), piece))
    }
    client.write('0\r\n\r\n')
    assert.equal((await client.answer('POST')).text, 'ok')
  })

  check('S05', 'an answer in the middle of an upload reaches the caller', async (t) => {
    const world = await start(t, {
      script: (request) => answer(request, 413, ['Connection: close'], 'too much'),
    })
    const client = await world.client()
    client.socket.on('error', () => {})
    client.write(world.message('POST', '/', [`Content-Length: ${4 * MIB}`]))
    const poured = pour(client.socket, 4 * MIB)
    const got = await within(5_000, 'the answer', client.answer('POST'))
    assert.deepEqual([got.status, got.text], [413, 'too much'])
    await Promise.race([poured.done, client.closed])
    world.upstream.script = (request) => answer(request, 200)
    assert.equal((await world.call('GET', '/after')).status, 200)
  })

  check(
    'S07',
    'a caller that stops reading stops the upstream, and gets the rest when it reads on',
    async (t) => {
      const world = await start(t, {
        script: ({ socket }) =>
          void socket.write(
            `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${OFFERED_BYTES}\r\n\r\n`,
          ),
      })
      const client = await world.client()
      client.write(world.message('GET', '/'))
      const { socket } = await world.upstream.request(0)
      await client.head()
      client.socket.pause()
      const poured = pour(socket, OFFERED_BYTES)
      const taken = await settledCount(poured.taken)
      assert.ok(taken < BOUND_BYTES, `${taken} bytes were taken`)
      client.socket.resume()
      assert.equal((await client.reader.take(OFFERED_BYTES)).length, OFFERED_BYTES)
    },
  )

  check('S08', 'an upstream that stops reading stops the caller', async (t) => {
    const world = await start(t, { script: ({ socket }) => void socket.pause() })
    const client = await world.client()
    client.write(world.message('POST', '/', [`Content-Length: ${OFFERED_BYTES}`]))
    const { socket, body } = await world.upstream.request(0)
    const poured = pour(client.socket, OFFERED_BYTES)
    const taken = await settledCount(poured.taken)
    assert.ok(taken < BOUND_BYTES, `${taken} bytes were taken`)
    socket.resume()
    assert.equal((await body).length, OFFERED_BYTES)
  })

  check('S15', 'Expect: 100-continue is answered here, and the body arrives', async (t) => {
    const world = await start(t)
    const client = await world.client()
    client.write(world.message('POST', '/', ['Content-Length: 4', 'Expect: 100-continue']))
    assert.match(String(await within(2_000, 'a 100', client.reader.until('\r\n\r\n'))), /^HTTP\/1\.1 100 /)
    client.write('body')
    assert.equal((await client.answer('POST')).text, 'ok')
    const request = await world.upstream.request(0)
    assert.equal(request.fields.get('expect'), null)
    assert.equal(String(await request.body), 'body')
  })

  check('S15-refused', 'a refused call that expects 100-continue is not told to go on', async (t) => {
    const world = await start(t)
    const got = await world.call('POST', '/..', ['Content-Length: 4', 'Expect: 100-continue'])
    assert.equal(got.status, 400)
    assert.equal(got.interim.length, 0)
  })

  check('S16', 'a final answer to an expectation leaves no poisoned connection', async (t) => {
    const world = await start(t, {
      script: (request) => answer(request, request.target === '/expect' ? 417 : 200, [], request.target),
    })
    const hidden = `GET /hidden HTTP/1.1\r\nHost: ${world.host}\r\n\r\n`
    const client = await world.client()
    const fields = [`Content-Length: ${hidden.length}`, 'Expect: 100-continue']
    const got = await client.call(world.message('POST', '/expect', fields))
    assert.equal(got.status, 417)
    client.write(hidden)
    for (let at = 0; at < 3; at++)
      assert.equal((await world.call('GET', `/after/${at}`)).text, `/after/${at}`)
    assert.equal(
      world.upstream.requests.some(({ target }) => target === '/hidden'),
      false,
    )
  })

  check('S18', 'answers to HEAD have a length and no body, and the connection goes on', async (t) => {
    const world = await start(t, {
      script: (request) => {
        if (request.method === 'GET') answer(request, 200, [], 'body')
        else if (request.target === '/length')
          request.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n')
        else request.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      },
    })
    const client = await world.client()
    const head = await within(2_000, 'HEAD', client.call(world.message('HEAD', '/length')))
    assert.equal(head.fields.get('content-length'), '12345')
    assert.equal((await client.call(world.message('GET', '/'))).text, 'body')
    await within(2_000, 'HEAD, chunked', client.call(world.message('HEAD', '/chunked')))
    assert.equal((await client.call(world.message('GET', '/'))).text, 'body')
  })

  check('S19', '204 and 304 have no body, whatever their fields say', async (t) => {
    const heads: Record<string, string> = {
      '/204': 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
      '/304': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n',
    }
    const script = (request: RawRequest) => {
      const head = heads[request.target]
      if (head === undefined) answer(request, 200, [], 'body')
      else request.socket.write(head)
    }
    const world = await start(t, { script })
    const client = await world.client()
    for (const [target, status] of [
      ['/204', 204],
      ['/304', 304],
    ] as const) {
      const got = await within(2_000, target, client.call(world.message('GET', target)))
      assert.equal(got.status, status)
      assert.equal(got.fields.get('transfer-encoding'), null)
      assert.equal((await client.call(world.message('GET', '/'))).text, 'body')
    }
  })

  check('S21', 'bytes beyond an answer never become another one', async (t) => {
    const fake = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
    const world = await start(t, {
      script: (request) =>
        request.target === '/first'
          ? answer(request, 200, [], `ok${fake}`.slice(0, 2))
          : answer(request, 200, [], 'own'),
    })
    world.upstream.script = (request) => {
      if (request.target === '/first')
        request.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${fake}`)
      else answer(request, 200, [], 'own')
    }
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/first'))).text, 'ok')
    assert.equal((await world.call('GET', '/second')).text, 'own')
    const again = await client.call(world.message('GET', '/third')).catch(() => null)
    assert.notEqual(again?.text, 'poison')
  })

  check('trailers', 'trailers of an answer arrive, announced or not', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n',
        ),
    })
    const client = await world.client()
    const got = await client.call(world.message('GET', '/'))
    assert.equal(got.text, 'ok')
    assert.deepEqual([got.trailers.get('x-sum'), got.trailers.get('x-other')], ['1', '2'])
    assert.equal((await client.call(world.message('GET', '/'))).text, 'ok')
  })

  check('trailers-none', 'announced trailers do no harm to an answer that cannot have any', async (t) => {
    const world = await start(t, {
      script: (request) => {
        if (request.target === '/length') answer(request, 200, ['Trailer: X-Sum'], 'ok')
        else if (request.method === 'HEAD') {
          request.socket.write('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
        } else {
          const head = 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n'
          request.socket.write(`${head}2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n`)
        }
      },
    })
    const client = await world.client()
    assert.equal((await client.call(world.message('GET', '/length'))).text, 'ok')
    assert.equal((await client.call(world.message('HEAD', '/'))).status, 200)
    assert.equal((await client.call('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n')).text, 'ok')
  })

  check('103', 'early hints arrive before the answer', async (t) => {
    const world = await start(t, {
      script: (request) => {
        request.socket.write('HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n')
        answer(request, 200, [], 'ok')
      },
    })
    const got = await world.call('GET', '/')
    assert.equal(got.text, 'ok')
    assert.deepEqual(
      got.interim.map(({ status, fields }) => [status, fields.get('link')]),
      [[103, '</style.css>; rel=preload; as=style']],
    )
  })

  check('HTTP/1.0', 'an HTTP/1.0 caller gets whole answers it understands', async (t) => {
    const world = await start(t, {
      script: ({ socket }) =>
        void socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n',
        ),
    })
    const client = await world.client()
    const got = await client.call('GET / HTTP/1.0\r\n\r\n')
    assert.equal(got.status, 200)
    assert.equal(got.fields.get('transfer-encoding'), null)
    assert.equal(got.text, 'onetwo')
    assert.equal((await world.upstream.request(0)).version, 'HTTP/1.1')
    await within(2_000, 'the close', client.closed)
  })

  check(
    'until-close',
    'an answer that ends with its connection arrives whole, and the next call works',
    async (t) => {
      const world = await start(t, {
        script: ({ socket }) =>
          void socket.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end'),
      })
      const client = await world.client()
      for (let at = 0; at < 2; at++) {
        assert.equal((await client.call(world.message('GET', '/'))).text, 'until the end')
      }
    },
  )

  check('big', 'large bodies arrive whole both ways', async (t) => {
    const body = Buffer.alloc(3 * MIB, 'abcdefghijklmnopqrstuvwxyz').toString('latin1')
    const world = await start(t, {
      script: async (request) =>
        answer(request, 200, ['Content-Type: text/plain'], (await request.body).toString('latin1')),
    })
    assert.ok((await world.call('POST', '/', [], body)).text === body)
  })
}
