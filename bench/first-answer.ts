import { type AddressInfo, connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from './child.ts'

/** Time between two attempts: the resolution of the start-up figure. */
const EVERY_MS = 2

/**
 * Asks the contestant until it proxies an answer with status 200, and returns when that was (performance.now()). A contestant that
 * holds the request until it is ready is not asked again. Throws when the process ends or nothing comes in time.
 */
export async function firstAnswer(port: number, child: Child, timeoutMs: number): Promise<number> {
  const deadlineMs = performance.now() + timeoutMs
  let over = false
  void child.exited.then(() => {
    over = true
  })
  let last = 'no connection'
  while (performance.now() < deadlineMs && !over) {
    last = await statusLine(port, deadlineMs)
    if (last.startsWith('HTTP/1.1 200')) return performance.now()
    await sleep(EVERY_MS)
  }
  throw new Error(over ? `the process ended: ${child.errors()}` : `no answer in ${timeoutMs} ms, but ${last}`)
}

/** A port of 127.0.0.1 that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

function statusLine(port: number, deadlineMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (result: string) => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(Math.max(1, deadlineMs - performance.now()), () => end('silence'))
    socket.on('error', (error) => end(error.message))
    socket.on('close', () => end('a closed connection'))
    socket.on('connect', () =>
      socket.write(`GET /small HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`),
    )
    socket.on('data', (bytes) => end(bytes.toString('latin1', 0, 40)))
  })
}
