/** Bytes of the bodies that the upstream serves and the load sends. */
export const bodyBytes = { small: 178, post: 1024, large: 64 * 1024, huge: 10_000_000 }

/** Idle client connections in the scenario `idle`. */
export const idleConnections = 1000

interface Common {
  readonly name: string
  /** For the report. */
  readonly title: string
}

/** Requests as fast as the contestant answers them. */
export interface LoadScenario extends Common {
  readonly kind: 'load'
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Bytes sent with each request. */
  readonly sendBytes: number
  readonly connections: number
  readonly tls: boolean
  /** Loads of this scenario last this many times `--seconds`. */
  readonly lasts: number
  /** What the table shows beside the CPU: requests or bytes a second. */
  readonly shows: 'requests' | 'bytes' | 'memory'
}

/** Requests at a fixed rate, whether answered in time or not. */
export interface RateScenario extends Common {
  readonly kind: 'rate'
  readonly path: string
  readonly connections: number
  readonly lasts: number
}

/** Memory of idle connections. */
export interface IdleScenario extends Common {
  readonly kind: 'idle'
}

/** Time from the start of the process to the first proxied answer. */
export interface StartUpScenario extends Common {
  readonly kind: 'start-up'
}

export type Scenario = LoadScenario | RateScenario | IdleScenario | StartUpScenario

/** The call that most things are said of. */
export const smallGet = load('small-32', 'GET, 178 bytes of JSON, 32 connections', {})

/**
 * Every scenario, in the order of a session. `idle` comes first, since it compares with the memory of a process that has
 * served little.
 */
export const scenarios: readonly Scenario[] = [
  { kind: 'start-up', name: 'start-up', title: 'Start of the process to the first answer' },
  { kind: 'idle', name: 'idle', title: `Memory at rest and with ${idleConnections} idle connections` },
  load('small-1', 'GET, 178 bytes of JSON, 1 connection', { connections: 1 }),
  smallGet,
  load('small-256', 'GET, 178 bytes of JSON, 256 connections', { connections: 256 }),
  load('post-32', 'POST, 1 KiB, 32 connections', {
    method: 'POST',
    path: '/post',
    sendBytes: bodyBytes.post,
  }),
  load('large-32', 'GET, 64 KiB, 32 connections', { path: '/large' }),
  load('download', 'GET, 10 MB, 4 connections', { path: '/huge', connections: 4, lasts: 2, shows: 'bytes' }),
  load('upload', 'POST, 10 MB, 4 connections', {
    method: 'POST',
    path: '/post',
    sendBytes: bodyBytes.huge,
    connections: 4,
    lasts: 2,
    shows: 'bytes',
  }),
  {
    kind: 'rate',
    name: 'rate',
    title: 'Latency of GET, 178 bytes, at a fixed rate',
    path: '/small',
    connections: 32,
    lasts: 2,
  },
  load('memory-64', 'Memory under GET, 178 bytes, 64 connections', { connections: 64, shows: 'memory' }),
  load('tls-32', 'GET, 178 bytes of JSON, 32 connections, TLS to the upstream', { tls: true }),
]

function load(name: string, title: string, differs: Partial<LoadScenario>): LoadScenario {
  return {
    kind: 'load',
    name,
    title,
    method: 'GET',
    path: '/small',
    sendBytes: 0,
    connections: 32,
    tls: false,
    lasts: 1,
    shows: 'requests',
    ...differs,
  }
}
