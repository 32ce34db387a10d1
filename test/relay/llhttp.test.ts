import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { REQUEST, RESPONSE } from '../../proxy/relay/llhttp.ts'
import { verifyLlhttp } from '../../proxy/relay/llhttp-check.ts'
import { FIELD_STRIDE, MessageReader } from '../../proxy/relay/message-reader.ts'

const LIMIT_BYTES = 2048

const requests = [
  'GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nBlank:  \r\nSpaced: \t b c \t\r\nLong-Name-With-Dashes: value, value\r\n\r\n',
  '\r\n\r\nPOST /p?q=%20 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET ',
  'PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c="d e"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nT: railer\r\nU:\r\n\r\nGET ',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
  'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4a\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\r;ABCD\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nX: y\nZ: 1\r\n\r\n',
  'GET / HTTP/1.1\r\nX: y\rZ: 1\r\n\r\n',
  'GET / HTTP/1.1\r\nX: \0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n\rZ',
  'GET / HTTP/9.9\r\nHost: a\r\n\r\n',
  'NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n',
]

const answers = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA',
  'HTTP/1.1 404\r\nA: b\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.0 200 Long reason, with = signs\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\n\r\nX',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
]

interface Reading {
  fault: string | null
  head?: { text: string; fields: string[]; url: string; keepAlive: boolean }
  data: string
  trailersAt: number
  /** Bytes of the message; null when it has not ended. */
  length: number | null
}

/** What the reader makes of the bytes when they come in these pieces. */
function read(type: typeof REQUEST | typeof RESPONSE, pieces: readonly Buffer[]): Reading {
  const reader = new MessageReader(type, LIMIT_BYTES)
  const reading: Reading = { fault: null, data: '', trailersAt: -1, length: null }
  let before = 0
  for (const piece of pieces) {
    let position = 0
    if (!reader.headComplete) {
      position = reader.readHead(piece, 0, piece.length)
      if (reader.fault === null && reader.headComplete) {
        const { head, headStart, headEnd, fields } = reader
        const text = (from: number, to: number) => head.toString('latin1', from, to)
        const lines: string[] = []
        for (let at = 0; at < reader.fieldCount * FIELD_STRIDE; at += FIELD_STRIDE) {
          const [name = 0, nameLength = 0, value = 0, valueLength = 0] = fields.subarray(at)
          lines.push(`${text(name, name + nameLength)}=${text(value, value + valueLength).trim()}`)
        }
        reading.head = {
          text: text(headStart, headEnd),
          fields: lines,
          url: reader.urlStart < 0 ? '' : text(reader.urlStart, reader.urlEnd),
          keepAlive: reader.keepAlive,
        }
        if (reader.isChunked) reader.beginBody('chunked', 0)
        else reader.beginBody('length', Math.max(0, reader.contentLength))
      }
    }
    if (reader.headComplete && reader.fault === null && reading.length === null) {
      const end = reader.readBody(piece, position, piece.length)
      for (let at = 0; at < reader.data.length; at += 2) {
        reading.data += piece.toString('latin1', reader.data[at], reader.data[at + 1])
      }
      if (reader.trailerStart >= 0 && reading.trailersAt < 0)
        reading.trailersAt = before + reader.trailerStart
      if (reader.complete) reading.length = before + end
    }
    reading.fault = reader.fault
    if (reading.fault !== null) break
    before += piece.length
  }
  reader.free()
  return reading
}

describe('llhttp', () => {
  it('does what the relay relies on', () => {
    verifyLlhttp()
  })

  it('reads messages the same wherever they are cut in two', () => {
    for (const [type, messages] of [[REQUEST, requests] as const, [RESPONSE, answers] as const]) {
      for (const message of messages) {
        const bytes = Buffer.from(message, 'latin1')
        const whole = read(type, [bytes])
        for (let at = 1; at < bytes.length; at++) {
          const cut = read(type, [bytes.subarray(0, at), bytes.subarray(at)])
          if (whole.fault !== null) {
            assert.equal(cut.fault, whole.fault, `${JSON.stringify(message)} cut at ${at}`)
          } else assert.deepEqual(cut, whole, `${JSON.stringify(message)} cut at ${at}`)
        }
      }
    }
  })

  it('reads messages the same when they drip in byte by byte', () => {
    for (const [type, messages] of [[REQUEST, requests] as const, [RESPONSE, answers] as const]) {
      for (const message of messages) {
        const bytes = Buffer.from(message, 'latin1')
        const whole = read(type, [bytes])
        const dripped = read(
          type,
          [...bytes].map((byte) => Buffer.from([byte])),
        )
        if (whole.fault !== null) assert.equal(dripped.fault, whole.fault, message)
        else assert.deepEqual(dripped, whole, message)
      }
    }
  })

  it('finds the end of every kind of message and refuses the ambiguous', () => {
    const lengths = requests.map((message) => read(REQUEST, [Buffer.from(message, 'latin1')]).length)
    const [plain = '', sized = '', chunked = ''] = requests
    assert.deepEqual(lengths, [
      plain.length,
      sized.length - 4,
      chunked.length - 4,
      ...requests.slice(3).map(() => null),
    ])
  })

  it('refuses a head beyond the limit however it arrives, and drops no field below it', () => {
    const fields = Array.from({ length: 400 }, (_, index) => `a${index % 10}:\r\n`).join('')
    const fitting = Buffer.from(`GET / HTTP/1.1\r\n${fields}\r\n`)
    const whole = read(REQUEST, [fitting])
    assert.equal(whole.fault, null)
    assert.equal(whole.head?.fields.length, 400)
    const beyond = Buffer.from(`GET / HTTP/1.1\r\nA: ${'b'.repeat(LIMIT_BYTES)}\r\n\r\n`)
    assert.equal(read(REQUEST, [beyond]).fault, 'too_large')
    assert.equal(
      read(
        REQUEST,
        [...beyond].map((byte) => Buffer.from([byte])),
      ).fault,
      'too_large',
    )
  })

  it('refuses a chunked body that is nearly all framing', () => {
    const head = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'
    const chunk = `1;${'x'.repeat(900)}\r\na\r\n`
    assert.equal(read(REQUEST, [Buffer.from(head), Buffer.from(chunk.repeat(30))]).fault, 'too_large')
    const small = Buffer.from(`${'1\r\na\r\n'.repeat(20_000)}0\r\n\r\n`)
    assert.equal(read(REQUEST, [Buffer.from(head), small]).fault, null)
  })

  it('reads one message after the other on the same connection', () => {
    const reader = new MessageReader(REQUEST, LIMIT_BYTES)
    const bytes = Buffer.from('GET /a HTTP/1.1\r\nA: b\r\n\r\nGET /b HTTP/1.1\r\n\r\n')
    const first = reader.readHead(bytes, 0, bytes.length)
    assert.equal(bytes.toString('latin1', reader.urlStart, reader.urlEnd), '/a')
    reader.beginBody('none', 0)
    reader.next()
    const second = reader.readHead(bytes, first, bytes.length)
    assert.equal(bytes.toString('latin1', reader.urlStart, reader.urlEnd), '/b')
    assert.deepEqual([reader.fieldCount, second], [0, bytes.length])
    reader.free()
  })
})
