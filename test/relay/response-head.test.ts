import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RESPONSE } from '../../proxy/relay/llhttp.ts'
import { MessageReader } from '../../proxy/relay/message-reader.ts'
import { ResponseHead } from '../../proxy/relay/response-head.ts'

interface Asked {
  readonly method?: string
  readonly http10?: boolean
  readonly rewrite?: (value: string) => string
}

function parse(lines: readonly string[], { method = 'GET', http10 = false, rewrite = (v) => v }: Asked = {}) {
  const reader = new MessageReader(RESPONSE, 65_536)
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  reader.readHead(bytes, 0, bytes.length)
  assert.equal(reader.fault, null, lines.join('|'))
  const head = new ResponseHead()
  const isValid = head.read(reader, method, http10, rewrite)
  const forwarded = head.forwarded('').split('\r\n').slice(0, -2)
  reader.free()
  return { head, isValid, forwarded }
}

describe('the head of an answer', () => {
  it('is refused when a bare CR stands for the end of its status line', () => {
    for (const start of ['HTTP/1.1 204 \r\rX-A: b', 'HTTP/1.1 204\r\rX-A: b', 'HTTP/1.0 200 OK\r\rX-A: b'])
      assert.equal(parse([start]).isValid, false, start)
    assert.equal(parse(['HTTP/1.1 204 ', 'X-A: b']).isValid, true)
    assert.equal(parse(['HTTP/1.1 204']).isValid, true)
  })

  it('is refused when a control character is in its reason', () => {
    for (const reason of ['O\0K', '\x1b[2J', 'OK\x7f'])
      assert.equal(parse([`HTTP/1.1 200 ${reason}`]).isValid, false, JSON.stringify(reason))
    assert.equal(parse(['HTTP/1.1 200 All\tright']).isValid, true)
  })

  it('passes byte for byte but for what concerns one connection', () => {
    const kept = [
      'Set-Cookie: a',
      'Set-Cookie: b',
      'X-Bytes: na\xefve',
      'Content-Length: 2',
      'Trailer: x',
      'Alt:  x ',
    ]
    const dropped = [
      'Connection: X-Gone, close',
      'Keep-Alive: timeout=7',
      'Proxy-Connection: a',
      'Upgrade: h2c',
      'x-gone: 1',
    ]
    const { head, forwarded } = parse(['HTTP/1.1 200 Fine \xe9', ...kept, ...dropped])
    assert.deepEqual(forwarded, ['HTTP/1.1 200 Fine \xe9', ...kept])
    assert.deepEqual([head.keepAlive, head.keepAliveS], [false, 7])
  })

  it('has the URLs rewritten that a browser would follow, and no others', () => {
    const lines = ['Location: /a', 'Content-Location: /b', 'Refresh: 5; url=/c', 'Link: </d>; rel=next']
    const { forwarded } = parse(['HTTP/1.1 200 OK', ...lines], { rewrite: (value) => `/gls${value}` })
    assert.deepEqual(forwarded.slice(1), [
      'Location: /gls/a',
      'Content-Location: /gls/b',
      'Refresh: 5; url=/gls/c',
      'Link: </d>; rel=next',
    ])
  })

  it('is in our own version whatever the upstream speaks', () => {
    assert.deepEqual(parse(['HTTP/1.0 404 Not here', 'A: b']).forwarded, ['HTTP/1.1 404 Not here', 'A: b'])
    assert.deepEqual(parse(['HTTP/1.0 404']).forwarded, ['HTTP/1.1 404'])
  })

  it('never lets a Connection line remove the framing', () => {
    const { forwarded, head } = parse(['HTTP/1.1 200 OK', 'Connection: content-length', 'Content-Length: 2'])
    assert.deepEqual(forwarded, ['HTTP/1.1 200 OK', 'Content-Length: 2'])
    assert.deepEqual([head.framing, head.contentLength], ['length', 2])
  })

  it('knows which answers have no body, whatever they claim', () => {
    const claim = ['Content-Length: 5']
    const framing = (status: number, method: string, ...lines: string[]) => {
      const { head, forwarded } = parse([`HTTP/1.1 ${status} X`, ...lines], { method })
      return [head.framing, forwarded.length - 1, head.keepAlive]
    }
    assert.deepEqual(framing(200, 'HEAD', ...claim), ['none', 1, true])
    assert.deepEqual(framing(304, 'GET', ...claim), ['none', 1, true])
    assert.deepEqual(framing(204, 'GET', ...claim), ['none', 0, false])
    assert.deepEqual(framing(204, 'GET', 'Transfer-Encoding: chunked'), ['none', 0, false])
    assert.deepEqual(framing(204, 'GET'), ['none', 0, true])
    assert.deepEqual(framing(304, 'GET', 'Transfer-Encoding: chunked'), ['none', 0, true])
    assert.deepEqual(framing(200, 'GET'), ['until_close', 0, false])
  })

  it('takes chunks away from a caller of HTTP/1.0', () => {
    const chunked = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'A: b']
    assert.deepEqual(parse(chunked, { http10: true }).forwarded, ['HTTP/1.1 200 OK', 'A: b'])
    assert.deepEqual(parse(chunked).forwarded, chunked)
  })

  it('refuses codings it cannot pass on', () => {
    const refused = [
      ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked'],
      ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip'],
      ['HTTP/1.1 200 OK', 'Transfer-Encoding:'],
      ['HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'],
      ['HTTP/1.1 099 Odd'],
      ['HTTP/2.0 200 OK'],
    ]
    for (const lines of refused) assert.equal(parse(lines).isValid, false, lines.join('|'))
    assert.equal(parse(['HTTP/1.1 888 Odd', 'Content-Length: 0']).isValid, true)
  })

  it('rewrites Location and Content-Location, and nothing else', () => {
    const rewrite = (value: string) => value.replace('http://up', 'http://sidecar')
    const lines = [
      'HTTP/1.1 302 Found',
      'location: http://up/a',
      'Content-Location: http://up/b',
      'X-Location: http://up/c',
      'Content-Length: 0',
    ]
    assert.deepEqual(parse(lines, { rewrite }).forwarded.slice(1), [
      'location: http://sidecar/a',
      'Content-Location: http://sidecar/b',
      'X-Location: http://up/c',
      'Content-Length: 0',
    ])
  })
})
