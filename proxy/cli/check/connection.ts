import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { addAbortSignal } from 'node:stream'
import { seenFrom } from './addresses.ts'
import { codeOf, type Explanation, type Finding } from './finding.ts'

const TIMED_OUT: Explanation = [
  'nothing answers in time',
  'a firewall or a network policy probably swallows the packets: allow this host to reach that port',
]

const FAILURES: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: [
    'the connection is refused',
    'nothing listens at that port, or a firewall refuses: compare host and port, and the rules for leaving this network',
  ],
  ETIMEDOUT: TIMED_OUT,
  ABORT_ERR: TIMED_OUT,
  EHOSTUNREACH: ['there is no way to the host', 'look at routes and network policies of this host'],
  ENETUNREACH: ['there is no way to its network', 'look at routes and network policies of this host'],
  ECONNRESET: [
    'the connection is broken off',
    'something between the two cuts it: a firewall, a proxy that wants to be asked first, or a port that does not speak TLS',
  ],
}

/** Connects. Null when it cannot; the findings say why. */
export async function connected(
  subject: string,
  host: string,
  port: number,
  signal: AbortSignal,
  findings: Finding[],
): Promise<Socket | null> {
  const socket = addAbortSignal(signal, connect({ host, port, autoSelectFamily: true }))
  try {
    await once(socket, 'connect')
    const from = seenFrom(socket.localAddress ?? '')
    const place = `${socket.remoteAddress} port ${port}`
    findings.push({
      result: 'ok',
      subject,
      found: `connected to ${place}${from === null ? '' : `; ${from}`}`,
    })
    // A later break is told of by whoever waits for something then.
    socket.on('error', () => {})
    return socket
  } catch (error) {
    findings.push(connectionFailure(subject, firstOf(error)))
    socket.destroy()
    return null
  }
}

/** With several addresses, Node gives an `AggregateError` with an error for each. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error
}

/** What it means that a connection did not come about. */
export function connectionFailure(subject: string, error: unknown): Finding {
  const code = codeOf(error)
  const [why, todo] = FAILURES[code] ?? ['no connection comes about', 'look at the network of this host']
  return { result: 'failed', subject, found: `${why} (${code})`, todo }
}
