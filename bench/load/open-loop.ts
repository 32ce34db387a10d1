/**
 * Load at a fixed rate, in a process of its own: each millisecond the requests that have fallen due are sent, whether earlier ones
 * were answered or not, and their time runs from then, so a contestant that stalls is charged for what piles up behind it.
 * wrk has no rate control; its next request waits for the last answer and so does not arrive while the proxy stalls.
 */
import { connect, type Socket } from 'node:net'
import type { LoadResult } from './load-generator.ts'
import { quantile } from './quantile.ts'

const [portText, path, rateText, secondsText, connectionsText] = process.argv.slice(2)
const port = Number(portText)
const ratePerS = Number(rateText)
const seconds = Number(secondsText)
const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`

/** One keep-alive connection with at most one request under way. */
class Connection {
  readonly socket: Socket
  readonly answered: (connection: Connection) => void
  received = ''

  constructor(answered: (connection: Connection) => void) {
    this.answered = answered
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true).setEncoding('latin1')
    this.socket.on('data', (text: string) => this.receive(text))
    this.socket.on('error', (error) => fail(error.message))
    this.socket.on('close', () => fail('a connection was closed'))
  }

  send(): void {
    this.socket.write(request)
  }

  private receive(text: string): void {
    this.received += text
    const headEnd = this.received.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const head = this.received.slice(0, headEnd)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    const whole =
      length === undefined
        ? this.received.endsWith('\r\n0\r\n\r\n')
        : this.received.length >= headEnd + 4 + Number(length)
    if (!whole) return
    if (!head.startsWith('HTTP/1.1 200')) fail(`answered ${head.slice(0, 20)}`)
    this.received = ''
    this.answered(this)
  }
}

const dueMs: number[] = []
const startedMs = new Map<Connection, number>()
const latenciesMs: number[] = []
const idle: Connection[] = []

function answered(connection: Connection): void {
  latenciesMs.push(performance.now() - (startedMs.get(connection) ?? 0))
  idle.push(connection)
  sendDue()
}

function sendDue(): void {
  while (dueMs.length > 0) {
    const connection = idle.pop()
    if (connection === undefined) return
    startedMs.set(connection, dueMs.shift() ?? 0)
    connection.send()
  }
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}

for (let index = 0; index < Number(connectionsText); index++) {
  const connection = new Connection(answered)
  connection.socket.on('connect', () => idle.push(connection))
}

// The connections are opened, and each has carried a request, before time counts.
setTimeout(() => {
  for (const connection of idle.splice(0)) {
    startedMs.set(connection, performance.now())
    connection.send()
  }
}, 100)

setTimeout(() => {
  latenciesMs.length = 0
  const beganMs = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const nowMs = performance.now()
    const elapsedS = (nowMs - beganMs) / 1000
    if (elapsedS >= seconds) {
      clearInterval(timer)
      report(elapsedS)
      return
    }
    for (; sent < elapsedS * ratePerS; sent++) dueMs.push(nowMs)
    sendDue()
  }, 1)
}, 200)

function report(elapsedS: number): void {
  // What is still unanswered has waited this long at least; leaving it out would flatter a stalled contestant.
  for (const due of dueMs) latenciesMs.push(performance.now() - due)
  if (latenciesMs.length === 0) fail('no request was answered')
  const result: LoadResult = {
    requests: latenciesMs.length,
    seconds: elapsedS,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  }
  console.log(JSON.stringify(result))
  process.exit(0)
}
