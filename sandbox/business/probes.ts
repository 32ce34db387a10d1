import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { type Call, numberFrom, query, type Route, sendJson } from '../call.ts'
import { LONGEST_DELAY_MS, type Timers } from '../clock.ts'

const MOST_BYTES = 4 * 1024 * 1024 * 1024
/** `abc…z` over and over: a multiple of 26, so that the pattern goes on across chunks. */
const filler = Buffer.alloc(26 * 2520, 'abcdefghijklmnopqrstuvwxyz')

/** Endpoints that no Clear product has: what a test or a load generator wants of an upstream. */
export function probeRoutes(timers: Timers): Route[] {
  return [
    { path: '/echo', methods: null, handle: echo },
    { path: '/echo/*', methods: null, handle: echo },
    { path: '/bytes/*', methods: ['GET', 'HEAD'], handle: bytes },
    { path: '/slow', methods: null, handle: (call) => slow(call, timers) },
    { path: '/status/*', methods: null, handle: status },
    { path: '/sse', methods: ['GET'], handle: (call) => events(call, timers) },
    { path: '/reflect-token', methods: null, handle: (call) => reflectToken(call, timers) },
  ]
}

/** Says what arrived: method, URL, header fields as they came, trailers, length and SHA-256 of the body. */
function echo(call: Call): void {
  const { req, res, body } = call
  const hash = createHash('sha256')
  let bodyBytes = 0
  body.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length
    hash.update(chunk)
  })
  body.once('end', () => {
    sendJson(res, 200, {
      method: req.method,
      url: req.url,
      httpVersion: req.httpVersion,
      headers: req.headers,
      rawHeaders: req.rawHeaders,
      trailers: req.trailers,
      bodyBytes,
      bodySha256: hash.digest('hex'),
      remotePort: req.socket.remotePort,
    })
  })
}

/** `/bytes/178`: that many bytes of a known pattern, with Content-Length or (`?chunked=1`) in chunks. */
function bytes(call: Call): void {
  const { res, path } = call
  const sizeBytes = numberFrom(path.slice('/bytes/'.length), -1, MOST_BYTES)
  if (sizeBytes === -1)
    return void sendJson(res, 400, { error: 'SIZE_INVALID', message: `at most ${MOST_BYTES}` })
  const chunked = call.search !== '' && query(call).get('chunked') === '1'
  res.writeHead(200, {
    'content-type': 'application/octet-stream',
    ...(chunked ? {} : { 'content-length': sizeBytes }),
  })
  if (!chunked && sizeBytes <= filler.length) return void res.end(filler.subarray(0, sizeBytes))
  writeFiller(res, call.req.method === 'HEAD' ? 0 : sizeBytes)
}

function writeFiller(res: ServerResponse, sizeBytes: number): void {
  let leftBytes = sizeBytes
  while (leftBytes > 0 && !res.destroyed) {
    const chunk = filler.subarray(0, Math.min(leftBytes, filler.length))
    leftBytes -= chunk.length
    if (!res.write(chunk) && leftBytes > 0) {
      const rest = leftBytes
      return void res.once('drain', () => writeFiller(res, rest))
    }
  }
  res.end()
}

/** Answers after `?ms=`. */
function slow(call: Call, timers: Timers): void {
  call.body.resume()
  const ms = numberFrom(query(call).get('ms'), 1000, LONGEST_DELAY_MS)
  const cancel = timers.after(ms, () => sendJson(call.res, 200, { waitedMs: ms }))
  call.res.once('close', cancel)
}

/** `/status/503`: always answers so, however good the token; `/status/401` is an endpoint that rejects everybody. */
function status(call: Call): void {
  call.body.resume()
  const code = numberFrom(call.path.slice('/status/'.length), 0, 599)
  if (code < 200) return void sendJson(call.res, 400, { error: 'STATUS_INVALID', message: '200 to 599' })
  if (code === 204 || code === 304) return void call.res.writeHead(code).end()
  sendJson(call.res, code, { status: code })
}

/** Server-sent events: `?count=` of them (10), one each `?everyMs=` (100). */
function events(call: Call, timers: Timers): void {
  const { res } = call
  const count = numberFrom(query(call).get('count'), 10, 1_000_000)
  const everyMs = numberFrom(query(call).get('everyMs'), 100, LONGEST_DELAY_MS)
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  res.flushHeaders()
  let sent = 0
  let cancel = () => {}
  const next = () => {
    if (sent === count) return void res.end()
    sent += 1
    res.write(`id: ${sent}\ndata: {"n":${sent}}\n\n`)
    cancel = timers.after(everyMs, next)
  }
  next()
  res.once('close', () => cancel())
}

/**
 * Gives the token away as a careless API would: in the header `x-reflected-token`, and in a JSON body or
 * (`?as=text`) a text body. `?chunked=1` cuts it in two chunks that are `?gapMs=` (20) apart.
 */
function reflectToken(call: Call, timers: Timers): void {
  const { res, token } = call
  call.body.resume()
  const parameters = query(call)
  const asText = parameters.get('as') === 'text'
  const body = asText ? `Your token is ${token}.\n` : JSON.stringify({ token, message: 'is valid' })
  const head = {
    'content-type': asText ? 'text/plain; charset=utf-8' : 'application/json',
    'x-reflected-token': token,
  }
  if (parameters.get('chunked') !== '1') {
    return void res.writeHead(200, { ...head, 'content-length': Buffer.byteLength(body) }).end(body)
  }
  const cut = body.indexOf(token) + Math.floor(token.length / 2)
  res.writeHead(200, head)
  res.write(body.slice(0, cut))
  const gapMs = numberFrom(parameters.get('gapMs'), 20, LONGEST_DELAY_MS)
  res.once(
    'close',
    timers.after(gapMs, () => void res.end(body.slice(cut))),
  )
}
