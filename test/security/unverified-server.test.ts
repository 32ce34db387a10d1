import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import { createServer } from 'node:tls'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { createRelay } from '../../proxy/relay/relay.ts'
import { KubernetesApi } from '../../proxy/stores/kubernetes-api.ts'
import { RedisMedium } from '../../proxy/stores/redis.ts'
import { ClearMinter } from '../../proxy/token/clear-minter.ts'
import { starter } from '../relay/contract/world.ts'
import { testCertificate } from '../support/certificates.ts'

const NO_FILES = { ca: undefined, cert: undefined, key: undefined }

/** A TLS server with a certificate that no authority signed; `heard` is what clients told it. */
async function stranger(t: TestContext): Promise<{ readonly host: string; heard(): string }> {
  let heard = ''
  const server = createServer({ ...testCertificate('localhost') }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1')
      socket.end()
    })
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  return { host: `localhost:${(server.address() as AddressInfo).port}`, heard: () => heard }
}

/** Each part that opens TLS connections, sending what it sends first. */
const clients: [name: string, ask: (host: string, t: TestContext) => Promise<unknown>][] = [
  [
    'the minter',
    (host) =>
      new ClearMinter({
        tokenUrl: new URL(`https://${host}/token`),
        secret: new Secret('the client secret'),
        tls: NO_FILES,
        clock: systemClock,
        log: silentLog,
      }).mint(AbortSignal.timeout(5_000)),
  ],
  [
    'the relay',
    async (host, t) => {
      const world = await starter(createRelay)(t, { route: { upstream: new URL(`https://${host}`) } })
      await world.call('GET', '/')
    },
  ],
  [
    'the Redis store',
    async (host, t) => {
      const medium = new RedisMedium({
        url: new Secret(`rediss://user:password@${host}`),
        clock: systemClock,
        random: () => 0,
        log: silentLog,
      })
      t.after(() => medium.close())
      await medium.read('key', AbortSignal.timeout(1_000)).catch(() => {})
    },
  ],
  [
    'the Kubernetes store',
    (host) => {
      const access = { apiUrl: new URL(`https://${host}`), ca: undefined, readToken: async () => 'account' }
      const signal = AbortSignal.timeout(5_000)
      return new KubernetesApi(access, systemClock).ask({ method: 'GET', path: '/', signal }).catch(() => {})
    },
  ],
]

describe('a server that nobody vouches for, though NODE_TLS_REJECT_UNAUTHORIZED is 0', () => {
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  const emitWarning = process.emitWarning
  beforeEach(() => {
    process.emitWarning = () => {}
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  })
  afterEach(() => {
    process.emitWarning = emitWarning
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
  })

  for (const [name, ask] of clients) {
    it(`hears nothing from ${name}`, async (t) => {
      const { host, heard } = await stranger(t)
      await ask(host, t)
      assert.equal(heard(), '')
    })
  }
})
