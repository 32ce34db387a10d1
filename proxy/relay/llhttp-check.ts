import { REQUEST, RESPONSE } from './llhttp.ts'
import { type Framing, MessageReader } from './message-reader.ts'

const HEAD_LIMIT_BYTES = 16_384

/**
 * Proves that the WebAssembly build of llhttp does what the relay relies on: the two members it reads from memory lie where
 * it looks, a head ends where it should, and the messages from which smuggling is made are refused. Throws when it does not.
 */
export function verifyLlhttp(): void {
  const length = 'POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 4294967301\r\n\r\n'
  expect(REQUEST, length, (reader) => reader.contentLength === 4_294_967_301 && !reader.isChunked)
  expect(REQUEST, length, (reader) => reader.method === 'POST' && reader.fieldCount === 2 && reader.keepAlive)
  const chunked = 'PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'
  expect(REQUEST, chunked, (reader) => reader.isChunked && reader.contentLength === -1)
  const answer = 'HTTP/1.0 299 Fine\r\nContent-Length: 7\r\n\r\n'
  expect(
    RESPONSE,
    answer,
    (reader) => reader.status === 299 && reader.minorVersion === 0 && !reader.keepAlive,
  )
  expect(RESPONSE, answer, (reader) => reader.contentLength === 7)
  expectBody('5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\nGET', 'chunked', 25)

  const refused = [
    'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n',
    'GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n',
    'GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n',
    'GET / HTTP/1.1\r\nA : b\r\n\r\n',
    'GET / HTTP/1.1\r\nA: b\r\n\rX',
    'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n',
  ]
  for (const head of refused) {
    withReader(REQUEST, (reader) => {
      reader.readHead(Buffer.from(head, 'latin1'), 0, head.length)
      if (reader.fault === null) fail(head)
    })
  }
  for (const body of ['0x5\r\nhello', '5 \r\nhello', '5\nhello', '5\r\nhelloX', '5;a\nhello'])
    expectBody(body, 'chunked', -1)
}

function expect(
  type: typeof REQUEST | typeof RESPONSE,
  head: string,
  holds: (reader: MessageReader) => boolean,
): void {
  withReader(type, (reader) => {
    const bytes = Buffer.from(`${head}rest`, 'latin1')
    const end = reader.readHead(bytes, 0, bytes.length)
    if (reader.fault !== null || !reader.headComplete || end !== head.length || !holds(reader)) fail(head)
  })
}

/** `end`: where the message must end; -1: it must be refused. */
function expectBody(body: string, framing: Framing, end: number): void {
  withReader(REQUEST, (reader) => {
    const head = Buffer.from('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 'latin1')
    reader.readHead(head, 0, head.length)
    reader.beginBody(framing, 0)
    const read = reader.readBody(Buffer.from(body, 'latin1'), 0, body.length)
    const ended = reader.fault === null && reader.complete ? read : -1
    if (ended !== end || (end === -1 && reader.fault === null)) fail(body)
  })
}

function withReader(type: typeof REQUEST | typeof RESPONSE, use: (reader: MessageReader) => void): void {
  const reader = new MessageReader(type, HEAD_LIMIT_BYTES)
  try {
    use(reader)
  } finally {
    reader.free()
  }
}

function fail(message: string): never {
  throw new Error(
    `the installed undici brings an llhttp that reads this differently: ${JSON.stringify(message)}`,
  )
}
