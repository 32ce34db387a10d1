import assert from 'node:assert/strict'
import { IncompleteMessage } from '../../support/byte-reader.ts'
import { eventually, quiet, type Suite } from './world.ts'

interface Payload {
  readonly id: string
  readonly title: string
  /** What is sent, but for the request line and Host, by the hidden request. */
  readonly bytes: (hidden: string, host: string) => string
  readonly method?: string
  /** The body the upstream must see when the call is forwarded at all; null: it must be refused. */
  readonly body: ((hidden: string) => string) | null
  /** Whether refusing is as good. */
  readonly mayBeRefused?: true
}

const hex = (text: string) => text.length.toString(16)

const payloads: Payload[] = [
  {
    id: 'F12',
    title: 'a chunked DELETE keeps its body',
    method: 'DELETE',
    bytes: (hidden) => `Transfer-Encoding: chunked\r\n\r\n${hex(hidden)}\r\n${hidden}\r\n0\r\n\r\n`,
    body: (hidden) => hidden,
  },
  {
    id: 'F13',
    title: 'a chunked OPTIONS keeps its body',
    method: 'OPTIONS',
    bytes: (hidden) => `Transfer-Encoding: chunked\r\n\r\n${hex(hidden)}\r\n${hidden}\r\n0\r\n\r\n`,
    body: (hidden) => hidden,
  },
  {
    id: 'F15',
    title: 'Connection cannot nominate Transfer-Encoding',
    bytes: (hidden) =>
      `Connection: Transfer-Encoding, upgrade\r\nTransfer-Encoding: chunked\r\n\r\n${hex(hidden)}\r\n${hidden}\r\n0\r\n\r\n`,
    body: (hidden) => hidden,
  },
  {
    id: 'F16',
    title: 'Connection cannot nominate Content-Length',
    bytes: (hidden) =>
      `Connection: keep-alive, Content-Length\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    body: (hidden) => hidden,
  },
  {
    id: 'F20',
    title: 'Transfer-Encoding and Content-Length, long',
    bytes: (hidden) =>
      `Transfer-Encoding: chunked\r\nContent-Length: ${hidden.length + 5}\r\n\r\n0\r\n\r\n${hidden}`,
    body: null,
  },
  {
    id: 'F21',
    title: 'Content-Length and Transfer-Encoding, short',
    bytes: (hidden) =>
      `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${hex(hidden)}\r\n${hidden}\r\n0\r\n\r\n`,
    body: null,
  },
  {
    id: 'F40',
    title: 'a folded Transfer-Encoding',
    bytes: (hidden) =>
      `Transfer-Encoding:\r\n chunked\r\nContent-Length: ${hidden.length + 5}\r\n\r\n0\r\n\r\n${hidden}`,
    body: null,
  },
  {
    id: 'F50',
    title: 'a field after a bare LF',
    bytes: (hidden) =>
      `X: y\nTransfer-Encoding: chunked\r\nContent-Length: ${hidden.length + 5}\r\n\r\n0\r\n\r\n${hidden}`,
    body: null,
  },
  {
    id: 'F51',
    title: 'a field after a bare CR',
    bytes: (hidden) =>
      `X: y\rTransfer-Encoding: chunked\r\nContent-Length: ${hidden.length + 5}\r\n\r\n0\r\n\r\n${hidden}`,
    body: null,
  },
  {
    id: 'F66',
    title: 'a chunk extension ended by a bare LF',
    bytes: (hidden) =>
      `Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n${hex(hidden)}\r\n0\r\n\r\n${hidden}0\r\n\r\n`,
    body: null,
  },
  {
    id: 'F67',
    title: 'a chunk line with a CR too many',
    bytes: (hidden) => `Transfer-Encoding: chunked\r\n\r\n5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n${hidden}`,
    body: null,
  },
  {
    id: 'F72',
    title: 'a second Host',
    method: 'GET',
    bytes: () => 'Host: evil.example\r\n\r\n',
    body: null,
  },
  {
    id: 'F77',
    title: 'a head that ends in CR LF CR and something else',
    method: 'GET',
    bytes: (_, host) => `\rZGET /bb-smuggled: HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    body: null,
  },
  {
    id: 'F90',
    title: 'an upgrade with a body is one call or none',
    method: 'GET',
    bytes: (hidden) =>
      `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    body: (hidden) => hidden,
    mayBeRefused: true,
  },
  {
    id: 'framing-coding',
    title: 'a transfer coding other than chunked',
    bytes: (hidden) => `Transfer-Encoding: gzip, chunked\r\n\r\n${hex(hidden)}\r\n${hidden}\r\n0\r\n\r\n`,
    body: null,
  },
]

export function framingCases({ check, start }: Suite): void {
  for (const { id, title, method = 'POST', bytes, body, mayBeRefused } of payloads) {
    check(id, body === null ? `${title} is refused` : title, async (t) => {
      const world = await start(t)
      const hidden = `GET /bb-smuggled HTTP/1.1\r\nHost: ${world.host}\r\n\r\n`
      const client = await world.client()
      client.write(`${method} /bb/x HTTP/1.1\r\nHost: ${world.host}\r\n${bytes(hidden, world.host)}`)
      const answer = await client.answer().catch((error: unknown) => {
        assert.ok(error instanceof IncompleteMessage)
        return null
      })
      await quiet()
      const whole = world.upstream.requests.filter((request) => request.complete)
      assert.deepEqual(
        world.upstream.requests.filter(({ target }) => target !== '/bb/x'),
        [],
      )
      const isRefused = whole.length === 0 && mayBeRefused === true
      if (body === null || isRefused) {
        assert.ok(answer === null || answer.status >= 400, `answered ${answer?.status}`)
        assert.equal(whole.length, 0)
      } else {
        assert.equal(answer?.status, 200)
        assert.equal(whole.length, 1)
        const framing = ['content-length', 'transfer-encoding'].flatMap((name) => whole[0]?.fields.all(name))
        assert.equal(framing.length, 1, `framed by ${framing}`)
        assert.equal(String(await whole[0]?.body), body(hidden))
      }
    })
  }

  check('framing-bodies', 'bodies arrive byte for byte, framed as they were', async (t) => {
    const world = await start(t)
    const bytes = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code))
    const cases: [method: string, fields: string[], sent: string, body: string][] = [
      ['POST', [`Content-Length: 256`], bytes, bytes],
      ['PUT', ['Transfer-Encoding: chunked'], `100\r\n${bytes}\r\n1;x=y\r\n!\r\n0\r\n\r\n`, `${bytes}!`],
      ['PATCH', ['Content-Length: 0'], '', ''],
      ['GET', ['Content-Length: 3'], 'abc', 'abc'],
      ['POST', [], '', ''],
      ['DELETE', ['Content-Length: 2'], 'xy', 'xy'],
    ]
    const client = await world.client()
    for (const [at, [method, fields, sent, body]] of cases.entries()) {
      const answer = await client.call(world.message(method, `/${at}`, fields) + sent)
      assert.equal(answer.text, 'ok')
      const request = await world.upstream.request(at)
      assert.deepEqual([request.method, request.target], [method, `/${at}`])
      assert.equal((await request.body).toString('latin1'), body)
      assert.equal(request.fields.get('transfer-encoding'), sent.startsWith('100') ? 'chunked' : null)
    }
  })

  check('F70', 'trailers cannot add to the header section, and forbidden ones never pass', async (t) => {
    const world = await start(t)
    const harmless = [
      'Host: evil',
      'Authorization: x',
      'X-Cleartax-Auth-Token: forged',
      'X_Cleartax_Auth_Token: forged',
    ]
    for (const trailers of [
      harmless,
      ['X-Sidecar-Key: k'],
      ['Content-Length: 3'],
      ['Transfer-Encoding: chunked'],
    ]) {
      const chunks = `\r\n2\r\nok\r\n0\r\n${trailers.join('\r\n')}`
      const fields = ['Transfer-Encoding: chunked', 'Trailer: X-Cleartax-Auth-Token']
      const got = await world.call('POST', '/', [...fields, chunks])
      if (got.status === 400) continue
      const request = world.upstream.requests.at(-1)
      assert.equal(got.text, 'ok')
      assert.equal(String(await request?.body), 'ok')
      assert.equal(request?.fields.get('authorization'), null)
      assert.deepEqual(request?.fields.all('host'), [world.upstream.url.host])
      assert.deepEqual((await request?.trailers)?.lines, [])
    }
    assert.ok(world.upstream.requests.length >= 2, 'trailers that change no framing are no reason to refuse')
    for (const request of world.upstream.requests) {
      await eventually(() => assert.ok(request.complete || request.socket.destroyed))
    }
  })
}
