import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Teardown } from './sidecar-process-program.ts'
import { tempDir } from './temp-dir.ts'

/** Why tests that need a Redis server are left out here; false when there is one. For node:test's `skip`. */
export const skipReason: string | false =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'redis-server is not installed (Debian package redis-server)'

export interface RedisServerOptions {
  /** Password of the default user. */
  readonly password?: string
  /** One more user, in the words of the server's ACL file: `name on >password ~keys +commands`. */
  readonly acl?: string
  /** Speaks TLS only, with a certificate of an authority of its own. */
  readonly tls?: boolean
  /** Begins as a replica of the server at this port, and is synchronous with it when the start resolves. */
  readonly replicaOf?: number
  /** A node of a cluster, without slots at first. */
  readonly cluster?: boolean
}

/** A real Redis server on a free port of loopback, which keeps nothing on disk. */
export interface RedisServer {
  readonly port: number
  /** `redis://127.0.0.1:PORT`, with what comes before the `@` and after the port. */
  url(credentials?: string, database?: number): string
  /** The authority's certificate, PEM file; null without TLS. */
  readonly caFile: string | null
  /** Runs redis-cli as the default user; the answer without its line end. */
  cli(...command: string[]): string
  /** Stops answering without closing anything, as a frozen machine does. */
  freeze(): void
  thaw(): void
  /** Ends it as a crash would; what it held is lost. */
  kill(): Promise<void>
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a server that the end of the test ends. */
export async function startRedisServer(
  teardown: Teardown,
  options: RedisServerOptions = {},
): Promise<RedisServer> {
  const port = await freePort()
  const directory = tempDir()
  const tls = options.tls === true ? makeCertificates(directory) : null
  const args = [
    ...[
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
      '--repl-diskless-sync-delay',
      '0',
    ],
    ...(tls === null ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port)]),
    ...(tls === null ? [] : ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key]),
    ...(tls === null ? [] : ['--tls-ca-cert-file', tls.ca, '--tls-auth-clients', 'no']),
    ...(options.password === undefined ? [] : ['--requirepass', options.password]),
    ...(options.replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(options.replicaOf)]),
    ...(options.cluster === true ? ['--cluster-enabled', 'yes'] : []),
    ...(options.acl === undefined ? [] : ['--user', ...options.acl.split(' ')]),
  ]
  let child = await launch(args)
  const kill = async () => {
    if (!running.has(child)) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
  }
  teardown.after(kill)

  const server: RedisServer = {
    port,
    url: (credentials = '', database) =>
      `redis${tls === null ? '' : 's'}://${credentials === '' ? '' : `${credentials}@`}127.0.0.1:${port}` +
      (database === undefined ? '' : `/${database}`),
    caFile: tls?.ca ?? null,
    cli(...command) {
      const secure = tls === null ? [] : ['--tls', '--cacert', tls.ca]
      const auth = options.password === undefined ? [] : ['--no-auth-warning', '-a', options.password]
      const run = ['-h', '127.0.0.1', '-p', String(port), ...secure, ...auth, ...command]
      return execFileSync('redis-cli', run, { encoding: 'utf8' }).trimEnd()
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill,
    async restart() {
      await kill()
      child = await launch(args)
    },
  }
  while (
    options.replicaOf !== undefined &&
    !server.cli('INFO', 'replication').includes('master_link_status:up')
  ) {
    await sleep(20)
  }
  return server
}

/** A sentinel that alone decides on a fail-over, half a second after the primary fell silent. Resolves to its port. */
export async function startSentinel(teardown: Teardown, name: string, primary: RedisServer): Promise<number> {
  const port = await freePort()
  const file = join(tempDir(), 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor ${name} 127.0.0.1 ${primary.port} 1`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 3000`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = await launch([file, '--sentinel'], '+monitor')
  teardown.after(() => void child.kill('SIGKILL'))
  return port
}

function launch(args: readonly string[], ready = 'Ready to accept connections'): Promise<ChildProcess> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.once('close', () => running.delete(child))
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes(ready)) resolve(child)
    })
    child.once('error', reject)
    child.once('close', () => reject(new Error(`redis-server ended: ${said}`)))
  })
}

/**
 * A port nobody listens on. Not one of those that the system gives to connections: between this look and the server's own bind,
 * or while a server is restarted, one of a thousand other tests would get it. A cluster's node takes the one 10,000 above, too.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 20_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** An authority and a certificate of its for 127.0.0.1, as PEM files in `directory`. */
export function makeCertificates(directory: string): Certificates {
  const file = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: directory })
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '2']
  const authority = ['-subj', '/CN=test authority', '-addext', 'keyUsage=critical,keyCertSign']
  openssl('req', ...made, ...authority, '-keyout', 'ca.key', '-out', 'ca.pem')
  const server = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const plain = ['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', 'ca.pem', '-CAkey', 'ca.key']
  openssl('req', ...made, ...server, ...plain, '-keyout', 'server.key', '-out', 'server.pem')
  return { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key') }
}
