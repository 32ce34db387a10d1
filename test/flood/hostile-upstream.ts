import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

/** Unpacked it is a thousand times as large. */
const BOMB = gzipSync(Buffer.alloc(128 * 1024 * 1024))
const PIECE = randomBytes(64 * 1024)
const INTERIM = `HTTP/1.1 103 Early Hints\r\nLink: </${'x'.repeat(2_000)}>\r\n\r\n`

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** Never reads a byte more than it has to; each path is another way to be a bad upstream. */
const answers: Readonly<Record<string, Answer>> = {
  '/small': (_request, response) => void response.end('{"ok":true}'),
  '/bomb': (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' })
    response.end(BOMB)
  },
  '/endless': async (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    while (!response.destroyed) if (!response.write(PIECE)) await eitherOf(response, 'drain', 'close')
  },
  '/interims': async (_request, response) => {
    const { socket } = response
    while (socket !== null && !socket.destroyed) {
      if (!socket.write(INTERIM.repeat(20))) await eitherOf(socket, 'drain', 'close')
    }
  },
  '/deaf': () => {},
  '/late': async (request, response) => {
    request.resume()
    await sleep(500)
    response.end('late')
  },
}

async function eitherOf(
  emitter: ServerResponse | NonNullable<ServerResponse['socket']>,
  ...events: string[]
): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      for (const event of events) emitter.off(event, done)
      resolve()
    }
    for (const event of events) emitter.on(event, done)
  })
}

/** Starts it on a free port. */
export async function startHostileUpstream(): Promise<{ port: number; bombBytes: number }> {
  const server = createServer((request, response) => {
    response.on('error', () => {})
    const answer = answers[request.url ?? '']
    if (answer === undefined) response.writeHead(404).end()
    else void answer(request, response)
  })
  server.requestTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, bombBytes: BOMB.length }
}
