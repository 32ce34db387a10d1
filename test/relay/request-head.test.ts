import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Route } from '../../proxy/relay/forwarder.ts'
import { REQUEST } from '../../proxy/relay/llhttp.ts'
import { MessageReader } from '../../proxy/relay/message-reader.ts'
import { requestFields } from '../../proxy/relay/request-fields.ts'
import { CredentialLine, RequestHead } from '../../proxy/relay/request-head.ts'
import { heldToken } from '../support/token-source.ts'

const fields = requestFields(['x-cleartax-auth-token', 'x-sidecar-key'])

function parse(...lines: string[]): { head: RequestHead; isValid: boolean; forwarded: string } {
  const reader = new MessageReader(REQUEST, 65_536)
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  reader.readHead(bytes, 0, bytes.length)
  assert.equal(reader.fault, null, lines.join('|'))
  const head = new RequestHead(fields)
  const isValid = head.read(reader)
  const forwarded = head.forwarded('/t', 'Host: upstream\r\n')
  reader.free()
  return { head, isValid, forwarded }
}

/** The lines of a forwarded head after the request line and Host. */
const passing = (...lines: string[]) =>
  parse('GET / HTTP/1.1', ...lines)
    .forwarded.split('\r\n')
    .slice(2, -1)

describe('the head of a request', () => {
  it('keeps ordinary fields byte for byte and in order', () => {
    const kept = ['A: 1', 'b:2', 'A:  3  ', 'X-Bytes: na\xefve', 'Cookie: a=b; c=d', 'Via: 1.1 x', 'Empty:']
    assert.deepEqual(passing('Host: a', ...kept), kept)
    assert.equal(parse('GET /x HTTP/1.0', 'A: b').forwarded, 'GET /t HTTP/1.1\r\nHost: upstream\r\nA: b\r\n')
  })

  it('drops what concerns one connection, in any case', () => {
    const dropped = ['Connection: close', 'KEEP-ALIVE: timeout=5', 'Proxy-Connection: x', 'te: trailers']
    assert.deepEqual(passing(...dropped, 'Upgrade: h2c', 'Proxy-Authorization: b', 'Trailer: x', 'A: b'), [
      'A: b',
    ])
  })

  it('drops every field a Connection line names, wherever that stands, but never the framing', () => {
    const lines = ['X-One: 1', 'Connection:', 'Connection: close , X-One,x-two', 'connection: Content-Length']
    assert.deepEqual(passing(...lines, 'X-Two: 2', 'Content-Length: 3', 'X-Three: 3'), [
      'Content-Length: 3',
      'X-Three: 3',
    ])
  })

  it('drops forbidden names in every spelling that a server may take for them', () => {
    const spellings = [
      'x-cleartax-auth-token',
      'X-Cleartax-Auth-Token',
      'X_CLEARTAX_AUTH_TOKEN',
      'x.cleartax-auth_token',
      'x!cleartax*auth~token',
    ]
    assert.deepEqual(passing(...spellings.map((name) => `${name}: forged`), 'x-cleartax-auth-tokens: kept'), [
      'x-cleartax-auth-tokens: kept',
    ])
    assert.deepEqual(passing('Content_Length: 5', 'transfer.encoding: chunked', 'Keep_Alive: 1'), [])
  })

  it('notes what admission asks for', () => {
    const { head } = parse(
      'PUT /a?b HTTP/1.1',
      'Host: h:1',
      'Host: i',
      'Origin: o',
      'Sec-Fetch-Site: none',
      'X-Sidecar-Key: k1',
      'X-Sidecar-Key: k2',
    )
    const { method, target, hostCount, origin, secFetchSite, callerKey } = head
    assert.deepEqual(
      [method, target, hostCount, origin, secFetchSite, callerKey],
      ['PUT', '/a?b', 2, 'o', 'none', 'k1, k2'],
    )
    const next = parse('GET / HTTP/1.1', 'A: b').head
    assert.deepEqual([next.host, next.hostCount, next.origin, next.callerKey], [null, 0, null, null])
  })

  it('refuses framing that servers read differently', () => {
    const refused = [
      ['POST / HTTP/1.1', 'Transfer-Encoding: gzip, chunked'],
      ['POST / HTTP/1.1', 'Transfer-Encoding:'],
      ['POST / HTTP/1.1', 'Transfer-Encoding: gzip'],
      ['POST / HTTP/1.0', 'Transfer-Encoding: chunked'],
      ['POST / HTTP/1.1', 'Content-Length: 05'],
      ['POST / HTTP/1.1', 'Content-Length: 9007199254740993'],
      ['GET / HTTP/2.0', 'A: b'],
      ['DESCRIBE / RTSP/1.0', 'A: b'],
      ['SOURCE / ICE/1.0', 'A: b'],
      ['GET /'],
    ]
    for (const lines of refused) assert.equal(parse(...lines).isValid, false, lines.join('|'))
    assert.equal(parse('POST / HTTP/1.1', 'Transfer-Encoding: Chunked').head.framing, 'chunked')
    assert.equal(parse('POST / HTTP/1.1', 'Content-Length: 0').head.framing, 'none')
  })

  it('takes a GET for a WebSocket handshake and no other upgrade', () => {
    const ask = ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket']
    assert.equal(parse('GET / HTTP/1.1', ...ask).head.isUpgrade, true)
    assert.match(parse('GET / HTTP/1.1', ...ask).forwarded, /Connection: Upgrade\r\nUpgrade: websocket\r\n$/)
    const others = [
      ['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c'],
      ['GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket, h2c'],
      ['GET / HTTP/1.1', 'Connection: keep-alive', 'Upgrade: websocket'],
      ['GET / HTTP/1.1', ...ask, 'Content-Length: 4'],
      ['POST / HTTP/1.1', ...ask],
      ['GET / HTTP/1.0', ...ask],
    ]
    for (const lines of others) {
      const { head, forwarded } = parse(...lines)
      assert.equal(head.isUpgrade, false, lines.join('|'))
      assert.doesNotMatch(forwarded, /upgrade/i)
    }
  })

  it('answers 100-continue itself and leaves other expectations to the upstream', () => {
    const { head, forwarded } = parse('POST / HTTP/1.1', 'Expect: 100-Continue', 'Content-Length: 1')
    assert.deepEqual([head.expectsContinue, forwarded.includes('Expect')], [true, false])
    assert.equal(parse('POST / HTTP/1.0', 'Expect: 100-continue').head.expectsContinue, false)
    assert.deepEqual(passing('Expect: miracles'), ['Expect: miracles'])
  })
})

describe('the line of the token', () => {
  const route = { tokenHeader: 'authorization', tokenPrefix: 'Bearer ' } as Route

  it('follows the token that is held', () => {
    const line = new CredentialLine(route)
    const [first, second] = [heldToken('one'), heldToken('two', 2)]
    assert.equal(line.with(first), 'authorization: Bearer one\r\n\r\n')
    assert.equal(line.with(second), 'authorization: Bearer two\r\n\r\n')
    assert.equal(line.with(first), 'authorization: Bearer one\r\n\r\n')
  })

  it('is refused for a token that could end it', () => {
    for (const value of ['a\r\nX: y', 'a\n', '', 'caf\xe9', 'a\0']) {
      const bare = new CredentialLine({ tokenHeader: 't', tokenPrefix: '' } as Route)
      assert.throws(() => bare.with(heldToken(value)), { code: 'token_unavailable' })
    }
  })
})
