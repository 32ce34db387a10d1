import type { Call, Plan } from './script.ts'

/** One call as its caller writes it, with what the upstream must see of it. */
export interface Sending {
  readonly id: string
  readonly call: Call
  readonly bytes: string
  readonly body: string
}

/** Text that tells where it belongs, so that an answer in the wrong place or with something missing shows. */
export function textFor(label: string, length: number): string {
  return `${label}|`.repeat(Math.ceil(length / (label.length + 1))).slice(0, length)
}

export function sendingOf(id: string, call: Call): Sending {
  const framing = call.version === '1.0' && call.framing === 'chunked' ? 'length' : call.framing
  const body = framing === 'none' ? '' : textFor(id, call.bodyBytes)
  const target = call.defect === 'dot segments' ? `/../${id}` : `/${id}`
  const lines = [`${call.method} ${target} HTTP/${call.version}`, 'Host: localhost', ...call.fields]
  if (framing === 'length') lines.push(`Content-Length: ${body.length}`)
  if (framing === 'chunked' || call.defect === 'two framings') lines.push('Transfer-Encoding: chunked')
  if (call.defect === 'two framings') lines.push('Content-Length: 4')
  if (call.defect === 'bad chunk' && framing !== 'chunked') lines.push('Transfer-Encoding: xchunked')
  if (call.defect === 'large head') lines.push(`X-Large: ${'x'.repeat(5_000)}`)
  const head = call.defect === 'garbage' ? `${id} \0 garbage\r\n\r\n` : `${lines.join('\r\n')}\r\n\r\n`
  let framed = framing === 'chunked' ? chunked(body, call.defect === 'bad chunk') : body
  if (call.isShort) framed = framed.slice(0, Math.floor(framed.length / 2))
  return { id, call, bytes: head + framed, body }
}

/** Nothing after this call on its connection is read as a call. */
export function endsReading({ call, body }: Sending): boolean {
  return call.defect !== null || (call.isShort && (body !== '' || call.framing === 'chunked'))
}

function chunked(body: string, isBad: boolean, trailers = ''): string {
  const half = Math.ceil(body.length / 2)
  const chunks = [body.slice(0, half), body.slice(half)].filter((data) => data !== '')
  const framed = chunks.map((data) => `${data.length.toString(16)};x=y\r\n${data}\r\n`)
  return `${framed.join(isBad ? '\n' : '')}${isBad ? 'zz\r\n' : ''}0\r\n${trailers}\r\n`
}

/** An answer as the upstream writes it. */
export interface AnswerBytes {
  readonly status: number
  /** All of it, interim answers included. */
  readonly bytes: string
  /** What whoever reads it by the rules takes for its body; null: there is no such thing. */
  readonly body: string | null
  /** The end of the connection is the end of the answer. */
  readonly endsWithClose: boolean
  /** Where the message ends in `bytes`. */
  readonly end: number
}

/**
 * What the upstream adds to an answer that has ended. Only where both fit into one read: excess that comes later cannot be
 * told from the answer to the next call on that connection.
 */
function excessOf({ ending, framing, share, cuts }: Plan, bytes: string): string {
  if (share < 1 || cuts.length > 0 || bytes.length > 8_000 || framing === 'close' || framing === 'too short')
    return ''
  if (ending === 'garbage') return '\0garbage'
  return ending === 'excess' ? 'HTTP/1.1 200 OK\r\nX-Id: nobody\r\nContent-Length: 4\r\n\r\nevil' : ''
}

export function answerOf(plan: Plan, id: string, method: string, token: string): AnswerBytes {
  const { status, framing } = plan
  const isBodiless = method === 'HEAD' || status === 204 || status === 304 || status < 200
  const isText = !plan.fields.includes('Content-Type: image/png')
  const text = textFor(id, plan.bodyBytes)
  const half = Math.floor(text.length / 2)
  const body = framing === 'none' ? '' : isText ? text.slice(0, half) + token + text.slice(half) : text
  const fields = [...plan.fields, `X-Id: ${id}`, `X-Echo: ${token}`]
  if (framing === 'length') fields.push(`Content-Length: ${body.length}`)
  if (framing === 'none') fields.push('Content-Length: 0')
  if (framing === 'too long') fields.push(`Content-Length: ${Math.max(0, body.length - 3)}`)
  if (framing === 'too short') fields.push(`Content-Length: ${body.length + 3}`)
  const isChunked = framing === 'chunked' || framing === 'trailers' || framing === 'bad chunk'
  if (isChunked) fields.push('Transfer-Encoding: chunked')
  const trailers = framing === 'trailers' ? `X-Sum: ${token}\r\n` : ''
  const interim = `HTTP/1.1 103 Early Hints\r\nLink: <${token}>\r\n\r\n`.repeat(plan.interims)
  const head = `${interim}HTTP/1.1 ${status} Status\r\n${fields.join('\r\n')}\r\n\r\n`
  const framed = isChunked ? chunked(body, framing === 'bad chunk', trailers) : body
  // One that knows the rules writes no body where there must not be one; this one does, now and then.
  const bytes = isBodiless && framing !== 'too long' ? head : head + framed
  const read =
    framing === 'too long'
      ? body.slice(0, Math.max(0, body.length - 3))
      : framing.startsWith('bad')
        ? null
        : body
  const endsWithClose = framing === 'close' && !isBodiless
  let end = bytes.length
  if (isBodiless) end = head.length
  else if (framing === 'too long') end = head.length + (read as string).length
  else if (framing === 'too short') end += 3
  return { status, bytes: bytes + excessOf(plan, bytes), body: isBodiless ? '' : read, endsWithClose, end }
}
