import assert from 'node:assert/strict'
import type { HostileCaller } from './hostile-caller.ts'
import type { Answered, HostileUpstream } from './hostile-upstream.ts'
import type { Sending } from './messages.ts'

/** The value of the nth token. */
export const tokenValue = (generation: number): string => `tok-${generation}-0123456789-end`
const TOKEN = /tok-\d+-0123456789-end/

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT'])

/** What the upstream saw: only what was meant for it, with one token, and nothing twice that must not be. */
export function judgeUpstream(
  upstream: HostileUpstream,
  callers: readonly HostileCaller[],
  header: string,
): void {
  const known = new Map(callers.flatMap(({ sendings }) => sendings.map((sending) => [sending.id, sending])))
  const sentBefore = new Map<string, Answered[]>()
  for (const answered of upstream.answered) {
    const { id, request } = answered
    const sending = known.get(id)
    assert.ok(sending, `the upstream saw ${request.method} ${request.target}, which nobody sent`)
    // A chunk that is bad may come when what was before it is on its way. The rest must never seem to have come.
    const wasBroken = sending.call.defect === 'bad chunk' && sending.call.framing === 'chunked'
    if (wasBroken) assert.ok(!request.complete, `${id} is no request, and was forwarded whole`)
    else assert.equal(sending.call.defect, null, `${id} is no request, and was forwarded`)
    assert.equal(request.method, sending.call.method)
    const tokens = request.fields.lines.filter(([name]) => name.toLowerCase() === header)
    assert.equal(tokens.length, 1, `${id} was sent with ${tokens.length} tokens`)
    assert.match(tokens[0]?.[1] ?? '', TOKEN, `${id} was sent with a token of its caller's`)
    if (request.complete)
      assert.equal(Buffer.concat(request.pieces).toString('latin1'), sending.body, `body of ${id}`)
    const before = sentBefore.get(id) ?? []
    const rejections = before.filter(
      ({ answer, isHeadWritten }) => answer.status === 401 && isHeadWritten,
    ).length
    // Each rejection may bring a replay, twice; what may be repeated is, once, when its connection was stale.
    const replayed = 1 + Math.min(2, rejections)
    const most = IDEMPOTENT.has(sending.call.method) ? replayed + 1 : replayed
    assert.ok(before.length < most, `${sending.call.method} ${id} was sent ${before.length + 1} times`)
    sentBefore.set(id, [...before, answered])
  }
}

/** What a caller got: answers to its calls in order, each whole or seen to be broken, and no token. */
export function judgeCaller(caller: HostileCaller, upstream: HostileUpstream): void {
  const text = caller.received
  assert.doesNotMatch(text, TOKEN, 'a token came back')
  let rest = text
  for (const sending of caller.sendings) {
    const read = readAnswer(rest, sending, caller)
    if (read === null) return
    rest = read.rest
    if (!read.isOwn) expectSent(read, sending, upstream)
    if (read.status === 101) return
    // The method of what was not read as a request is not known, so even a HEAD may get a body.
    if (read.isOwn && [400, 408, 431].includes(read.status)) return
  }
  const hasInvalid = caller.sendings.at(-1)?.call.defect !== null || caller.hidden.length > 0
  assert.ok(rest === '' || hasInvalid, `more than was asked for: ${JSON.stringify(rest.slice(0, 200))}`)
}

interface Read {
  readonly status: number
  readonly body: string
  readonly isOwn: boolean
  readonly rest: string
}

/** The next answer, or null when it is not there, or not all of it, and that can be seen. */
function readAnswer(received: string, { id, call }: Sending, caller: HostileCaller): Read | null {
  let text = received
  for (;;) {
    const end = text.indexOf('\r\n\r\n')
    if (end === -1) return null
    const [startLine = '', ...lines] = text.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(startLine)?.[1])
    assert.ok(status >= 100, `no answer to ${id}: ${JSON.stringify(text.slice(0, 200))}`)
    text = text.slice(end + 4)
    if (status < 200 && status !== 101) {
      assert.equal(call.version, '1.1', 'an interim answer to HTTP/1.0')
      continue
    }
    const fields = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line]))
    const isOwn = fields.has('proxy-status')
    const isBodiless = call.method === 'HEAD' || status === 204 || status === 304 || status === 101
    const length = fields.get('content-length')?.replace(/^.*: */, '')
    if (isBodiless) return { status, body: '', isOwn, rest: text }
    if (fields.has('transfer-encoding')) {
      assert.equal(call.version, '1.1', 'chunks for HTTP/1.0')
      const chunks = readChunks(text)
      return chunks === null ? null : { status, isOwn, ...chunks }
    }
    if (length !== undefined) {
      if (text.length < Number(length)) return null
      return { status, body: text.slice(0, Number(length)), isOwn, rest: text.slice(Number(length)) }
    }
    return caller.hasEnded ? { status, body: text, isOwn, rest: '' } : null
  }
}

function readChunks(framed: string): { body: string; rest: string } | null {
  let body = ''
  let at = 0
  for (;;) {
    const line = framed.indexOf('\r\n', at)
    if (line === -1) return null
    const size = Number.parseInt(framed.slice(at, line), 16)
    assert.ok(size >= 0, `no chunk: ${JSON.stringify(framed.slice(at, at + 100))}`)
    at = line + 2
    if (size === 0) break
    if (framed.length < at + size + 2) return null
    body += framed.slice(at, at + size)
    at += size + 2
  }
  // Trailers and the empty line.
  const end = framed.startsWith('\r\n', at) ? at + 2 : framed.indexOf('\r\n\r\n', at) + 4
  return end < at + 2 || framed.length < end ? null : { body, rest: framed.slice(end) }
}

/** What looks whole was sent as a whole, for this call, by the upstream. */
function expectSent({ status, body }: Read, { id, call }: Sending, upstream: HostileUpstream): void {
  const sent = upstream.answered.filter((answered) => answered.id === id)
  const isBodiless = call.method === 'HEAD' || status === 204 || status === 304 || status === 101
  const whole = sent.some(({ answer, isWhole, endsAnywhere, isHeadWritten }) => {
    if (answer.status !== status) return false
    if (isBodiless) return isHeadWritten
    if (answer.body === null) return false
    return (isWhole && masked(answer.body) === body) || (endsAnywhere && isBeginning(body, answer.body))
  })
  assert.ok(
    whole,
    `${id} looks answered with ${status} and ${body.length} bytes, which the upstream never sent whole`,
  )
}

/** Apart from stars: a token that was cut is no token, so its rest is not masked. */
function isBeginning(part: string, body: string): boolean {
  return part.length <= body.length && [...part].every((char, at) => char === body[at] || char === '*')
}

const masked = (body: string) => body.replace(TOKEN, (token) => '*'.repeat(token.length))
