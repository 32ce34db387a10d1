/**
 * The stub behind every contestant, in a process of its own: fixed answers, the token API, and an echo of what arrived for
 * the verification. It reads sockets itself and trusts the framing it gets, since it must cost less than any contestant.
 */
import { createHash, type Hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { TOKEN_HEADER } from './contestants/contestant.ts'
import { bodyBytes } from './scenarios.ts'
import type { Arrived, StubPorts } from './upstream-types.ts'

const token = process.env['BENCH_TOKEN'] ?? ''
const certificates = process.env['BENCH_CERTIFICATES'] ?? ''

const small = answer(jsonOf(bodyBytes.small))
const fixed = new Map<string, Buffer>([
  ['GET /small', small],
  ['POST /post', small],
  ['GET /large', answer(Buffer.alloc(bodyBytes.large, 'l'))],
  ['GET /huge', answer(Buffer.alloc(bodyBytes.huge, 'h'))],
  ['GET /token', answer(Buffer.from(JSON.stringify({ access_token: token, valid_till: null })))],
])
const unknown = answer(Buffer.from('{}'), '404 Not Found')
const lengthRequired = answer(Buffer.from('{}'), '411 Length Required')

let accepted = 0

/** Takes requests off one connection, one after the other. */
function serve(socket: Socket): void {
  const connection = ++accepted
  let pending: Buffer | null = null
  let bodyLeft = 0
  let reply = unknown
  let echo: { arrived: Omit<Arrived, 'bodySha256'>; hash: Hash } | null = null

  const finish = () => {
    if (echo === null) {
      socket.write(reply)
      return
    }
    const arrived: Arrived = { ...echo.arrived, bodySha256: echo.hash.digest('hex') }
    echo = null
    socket.write(answer(Buffer.from(JSON.stringify(arrived))))
  }

  socket.setNoDelay(true)
  // Load generators and stopped contestants reset their connections.
  socket.on('error', () => socket.destroy())
  socket.on('data', (read) => {
    let bytes = pending === null ? read : Buffer.concat([pending, read])
    pending = null
    while (bytes.length > 0) {
      if (bodyLeft > 0) {
        const part = bytes.subarray(0, bodyLeft)
        bytes = bytes.subarray(part.length)
        bodyLeft -= part.length
        echo?.hash.update(part)
        if (bodyLeft === 0) finish()
        continue
      }
      const end = bytes.indexOf('\r\n\r\n')
      if (end === -1) {
        pending = bytes
        return
      }
      const head = bytes.toString('latin1', 0, end)
      bytes = bytes.subarray(end + 4)
      const target = head.slice(0, head.indexOf(' HTTP/'))
      reply = fixed.get(target) ?? unknown
      if (target.endsWith(' /verify'))
        echo = { arrived: arrival(head, connection), hash: createHash('sha256') }
      if (target.startsWith('POST ')) {
        const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
        if (length === undefined) {
          socket.end(lengthRequired)
          return
        }
        bodyLeft = Number(length)
      }
      if (bodyLeft === 0) finish()
    }
  })
}

function arrival(head: string, connection: number): Omit<Arrived, 'bodySha256'> {
  const tokens = head.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(':')
    return line.slice(0, colon).toLowerCase() === TOKEN_HEADER ? [line.slice(colon + 1).trim()] : []
  })
  return { connection, tokenSha256s: tokens.map((text) => createHash('sha256').update(text).digest('hex')) }
}

function answer(body: Buffer, status = '200 OK'): Buffer {
  const head = [
    `HTTP/1.1 ${status}`,
    `date: ${new Date().toUTCString()}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body])
}

function jsonOf(bytes: number): Buffer {
  const empty = JSON.stringify({ success: true, irn: '' })
  return Buffer.from(JSON.stringify({ success: true, irn: 'f'.repeat(bytes - empty.length) }))
}

function tlsServer(name: string): Server {
  const key = readFileSync(`${certificates}/${name}.key`)
  const cert = readFileSync(`${certificates}/${name}.pem`)
  return createTlsServer({ key, cert }, serve).on('tlsClientError', () => {})
}

async function listen(server: Server | null): Promise<number> {
  if (server === null) return 0
  await new Promise<void>((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve)
  })
  return (server.address() as AddressInfo).port
}

const hasTls = certificates !== ''
const ports: StubPorts = {
  plain: await listen(createServer(serve)),
  tls: await listen(hasTls ? tlsServer('trusted') : null),
  untrusted: await listen(hasTls ? tlsServer('untrusted') : null),
}
console.log(JSON.stringify(ports))
