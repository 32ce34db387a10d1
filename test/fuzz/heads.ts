import assert from 'node:assert/strict'
import { REQUEST, RESPONSE } from '../../proxy/relay/llhttp.ts'
import { MessageReader } from '../../proxy/relay/message-reader.ts'
import { requestFields } from '../../proxy/relay/request-fields.ts'
import { CredentialLine, RequestHead } from '../../proxy/relay/request-head.ts'
import { ResponseHead } from '../../proxy/relay/response-head.ts'
import { plainRoute, SECRET_HEADER, TOKEN, TOKEN_HEADER } from '../relay/contract/world.ts'
import { fc } from '../support/fast-check.ts'
import type { RawUpstream } from '../support/raw-upstream.ts'
import { heldToken, ScriptedTokens } from '../support/token-source.ts'
import { type Mutation, mutated, mutations } from './mutations.ts'
import { fuzzer } from './target.ts'

/** A head in lines. What it becomes is judged by lines, too: by the rules of RFC 9110, section 7.6.1, written once more. */
interface Input {
  readonly isRequest: boolean
  readonly startLine: string
  readonly lines: readonly string[]
  readonly changes: readonly Mutation[]
}

const LIMIT_BYTES = 2_048
const OWN = [TOKEN_HEADER, SECRET_HEADER, 'x-sidecar-key']
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'upgrade']
const REQUEST_ONLY = ['host', 'te', 'trailer', 'proxy-authorization']
/** They say where the message ends, so nobody can have them taken out. */
const FRAMING = ['content-length', 'transfer-encoding']

const names = fc.oneof(
  fc.constantFrom(
    ...OWN,
    ...HOP_BY_HOP,
    ...REQUEST_ONLY,
    ...FRAMING,
    'expect',
    'location',
    'gstin',
    'X-Gone',
    'x',
  ),
  fc.constantFrom(
    'X_Cleartax_Auth_Token',
    'X-CLEARTAX-AUTH-TOKEN',
    'x.clear.client.secret',
    'Transfer_Encoding',
  ),
)
const values = fc.oneof(
  fc.constantFrom(
    '',
    'x',
    'chunked',
    '5',
    'close',
    'keep-alive',
    'websocket',
    '100-continue',
    'localhost',
    '/a?b',
  ),
  fc.constantFrom(
    'X-Gone, close',
    `${TOKEN_HEADER}, upgrade`,
    'host, content-length',
    ' , ,x',
    '\xff\xfe',
    ' \t ',
  ),
)
const line = fc.tuple(names, fc.constantFrom(':', ': ', ':\t', ' :'), values).map((parts) => parts.join(''))
const inputs: fc.Arbitrary<Input> = fc.boolean().chain((isRequest) =>
  fc.record({
    isRequest: fc.constant(isRequest),
    startLine: isRequest
      ? fc.constantFrom('GET /a HTTP/1.1', 'POST /a?b HTTP/1.1', 'HEAD * HTTP/1.0', 'M-SEARCH /a HTTP/1.1')
      : fc.constantFrom(
          'HTTP/1.1 200 OK',
          'HTTP/1.0 404 No',
          'HTTP/1.1 204 ',
          'HTTP/1.1 101 S',
          'HTTP/1.1 304',
        ),
    lines: fc.array(line, { maxLength: 8 }),
    changes: fc.oneof(fc.constant([]), mutations(3, 200)),
  }),
)

function run({ isRequest, startLine, lines, changes }: Input): void {
  const text = mutated(`${[startLine, ...lines].join('\r\n')}\r\n\r\n`, changes)
  const bytes = Buffer.from(text, 'latin1')
  const whole = forwarded(isRequest, [bytes])
  for (let cut = 1; cut < bytes.length; cut++) {
    assert.deepEqual(
      forwarded(isRequest, [bytes.subarray(0, cut), bytes.subarray(cut)]),
      whole,
      `cut at ${cut}`,
    )
  }
  if (whole !== null) judge(isRequest, text.slice(0, whole.end), whole.text)
}

/** What is made of the head that arrives in these pieces, and where it ended; null when it is refused, or not all there. */
function forwarded(isRequest: boolean, pieces: readonly Buffer[]): { text: string; end: number } | null {
  const reader = new MessageReader(isRequest ? REQUEST : RESPONSE, LIMIT_BYTES)
  try {
    let before = 0
    for (const piece of pieces) {
      const end = reader.readHead(piece, 0, piece.length)
      if (reader.fault !== null) return null
      if (reader.headComplete) {
        const text = isRequest ? requestText(reader) : answerText(reader)
        return text === null ? null : { text, end: before + end }
      }
      before += piece.length
    }
    return null
  } finally {
    reader.free()
  }
}

const route = plainRoute(
  { url: new URL('http://upstream.test') } as RawUpstream,
  new ScriptedTokens(heldToken(TOKEN)),
)
const fields = requestFields(OWN, false)
const credential = new CredentialLine(route)

function requestText(reader: MessageReader): string | null {
  const head = new RequestHead(fields)
  if (!head.read(reader)) return null
  return head.forwarded('/target', 'Host: upstream.test\r\n') + credential.with(heldToken(TOKEN))
}

function answerText(reader: MessageReader): string | null {
  const head = new ResponseHead()
  return head.read(reader, 'GET', false, (location) => location) ? head.forwarded('') : null
}

function judge(isRequest: boolean, received: string, sent: string): void {
  assert.ok(sent.endsWith('\r\n\r\n') && !sent.slice(0, -4).includes('\r\n\r\n'), 'one head')
  // Empty lines before a request are none of it (RFC 9112, section 2.2).
  const receivedLines = received
    .replace(/^[\r\n]+/, '')
    .split('\r\n')
    .slice(1, -2)
  const sentLines = sent.split('\r\n').slice(1, -2)
  if (isRequest) {
    assert.equal(sentLines.shift(), 'Host: upstream.test')
    assert.equal(sentLines.pop(), `${TOKEN_HEADER}: ${TOKEN}`)
    if (sentLines.at(-1) === 'Upgrade: websocket') sentLines.splice(-2)
  }
  const nominated = new Set(
    receivedLines
      .filter((each) => nameOf(each) === 'connection')
      .flatMap((each) => each.slice(each.indexOf(':') + 1).split(','))
      .map((option) => option.trim().toLowerCase()),
  )
  // What passes does so as it came, and in its order.
  let next = 0
  for (const each of sentLines) {
    const at = receivedLines.indexOf(each, next)
    assert.notEqual(at, -1, `${JSON.stringify(each)} was not received`)
    next = at + 1
    const name = nameOf(each)
    const removed = isRequest ? [...OWN, ...HOP_BY_HOP, ...REQUEST_ONLY] : HOP_BY_HOP
    assert.ok(!removed.includes(isRequest ? disguised(name) : name), `${name} passed`)
    assert.ok(FRAMING.includes(name) || !nominated.has(name), `${name} passed, which Connection names`)
  }
  // What nothing speaks against is not lost.
  const special = [...OWN, ...HOP_BY_HOP, ...REQUEST_ONLY, ...FRAMING, 'expect', 'x-sidecar-key']
  const plain = (each: string) => !special.includes(disguised(nameOf(each))) && !nominated.has(nameOf(each))
  assert.deepEqual(sentLines.filter(plain), receivedLines.filter(plain))
}

const nameOf = (each: string) => each.slice(0, each.indexOf(':')).toLowerCase()
/** As programs see it that make variables of names. */
const disguised = (name: string) => name.replaceAll(/[^a-z0-9]/g, '-')

export const heads = fuzzer<Input>({
  name: 'heads',
  inputs,
  regressions: [
    {
      isRequest: false,
      startLine: 'HTTP/1.1 204 ',
      lines: ['X-A: b'],
      changes: [{ at: 14, drop: 1, insert: '\r' }],
    },
    {
      isRequest: true,
      startLine: 'GET /a HTTP/1.1',
      lines: [],
      changes: [{ at: 0, drop: 0, insert: '\r\n' }],
    },
  ],
  testRuns: 600,
  run,
})
