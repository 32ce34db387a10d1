import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import {
  type RedisServer,
  type RedisServerOptions,
  skipReason,
  startRedisServer,
} from '../support/redis-server.ts'
import type { Teardown } from '../support/sidecar-process-program.ts'
import { CHANNEL, redisReplica } from './redis-medium.ts'
import { soon, token } from './store-use.ts'

/** All that the sidecar needs, as docs/decisions/0004-redis-client.md and docs/operations.md give it. */
const ACL =
  'sidecar on >pass~word resetkeys ~token-sidecar:* resetchannels &token-sidecar:* -@all ' +
  '+ping +eval +time +get +set +publish +subscribe +unsubscribe'

describe('access to a Redis server', { skip: skipReason }, () => {
  it('takes no more rights than the documented user has', async (test) => {
    const server = await startRedisServer(test, { acl: ACL })
    const { store, warnings } = redisReplica(test, server.url('sidecar:pass~word'))
    await rotates(test, server, 'sidecar:pass~word')
    assert.deepEqual(server.cli('ACL', 'LOG'), '', 'nothing was denied')
    assert.equal((await store.read(soon())).token?.generation, 1)
    assert.deepEqual(warnings(), [])
  })

  const needed = ['eval', 'time', 'get', 'set', 'publish', 'subscribe']
  for (const right of needed) {
    it(`says what is missing when the user may not ${right}`, async (test) => {
      const server = await startRedisServer(test, { acl: ACL.replace(` +${right}`, '') })
      const { store, warnings } = redisReplica(test, server.url('sidecar:pass~word'))
      if (right === 'subscribe') {
        const told = new Promise<void>((resolve) => {
          const poll = () => (warnings().length > 0 ? resolve() : void setTimeout(poll, 5))
          poll()
        })
        test.after(store.watch(() => {}))
        await told
      } else await assert.rejects(store.acquire(8_000, soon()))
      assert.match(
        warnings()[0] ?? '',
        /^store_(connection|watch)_failed .*(NOPERM|no permissions|can't run)/i,
      )
    })
  }

  const ways: Record<string, [options: RedisServerOptions, credentials: string, database?: number]> = {
    'a password alone': [{ password: 'p@ss:/word' }, ':p%40ss%3A%2Fword'],
    'user and password': [{ acl: 'app on >secret ~* &* +@all' }, 'app:secret'],
    'a database number and the right to select it': [{ acl: `${ACL} +select` }, 'sidecar:pass~word', 7],
  }
  for (const [way, [options, credentials, database]] of Object.entries(ways)) {
    it(`works with ${way}`, async (test) => {
      const server = await startRedisServer(test, options)
      await rotates(test, server, credentials, database)
      assert.equal(server.cli('-n', String(database ?? 0), 'KEYS', '*'), CHANNEL)
    })
  }

  it('keeps neither the token nor the secret in the entry, and pushes the generation alone', async (test) => {
    const server = await startRedisServer(test)
    const pushed = listen(test, server)
    await pushed.ready
    await rotates(test, server, '')
    const entry = server.cli('GET', CHANNEL)
    assert.ok(!entry.includes('token-1') && !entry.includes('one'), entry)
    // acquire, begin, publish
    assert.deepEqual(await pushed.messages(3), ['0', '0', '1'])
  })

  it('trusts a private authority that NODE_EXTRA_CA_CERTS names, and no other', async (test) => {
    const server = await startRedisServer(test, { tls: true })
    const { store, warnings } = redisReplica(test, server.url())
    await assert.rejects(store.read(soon()), /certificate|self.signed/)
    assert.match(warnings()[0] ?? '', /^store_connection_failed .*certificate/)

    // The variable is read when a process starts.
    const program = `
      import { systemClock } from './proxy/lib/clock.ts'
      import { silentLog as log } from './proxy/lib/log.ts'
      import { Secret } from './proxy/lib/secret.ts'
      import { RedisMedium } from './proxy/stores/redis.ts'
      const url = new Secret(${JSON.stringify(server.url())})
      const medium = new RedisMedium({ url, clock: systemClock, random: Math.random, log })
      const entry = await medium.read('key', AbortSignal.timeout(5000))
      await medium.close()
      process.stdout.write('generation ' + entry.generation)`
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      { env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: server.caFile ?? '' } },
    )
    assert.equal(stdout, 'generation 0')
  })
})

/** One whole rotation by one process, noticed by another. */
async function rotates(test: Teardown, server: RedisServer, credentials: string, database?: number) {
  const url = server.url(credentials, database)
  const [a, b] = [redisReplica(test, url), redisReplica(test, url)]
  const noticed = new Promise<void>((resolve) => {
    const end = b.store.watch(async () => {
      // The last hint may come when the test is over and the server gone.
      const found = await b.store.read(soon()).catch(() => null)
      if (found?.token?.generation !== 1) return
      end()
      resolve()
    })
  })
  const lease = await a.store.acquire(8_000, soon())
  assert.equal(await lease?.begin('2026-11-22', soon()), 1)
  assert.equal(await lease?.publish(token(1), soon()), true)
  await noticed
  assert.deepEqual([...a.warnings(), ...b.warnings()], [])
}

/** What is pushed, as redis-cli sees it. */
function listen(test: Teardown, server: RedisServer) {
  const seen: string[] = []
  const cli = execFile('redis-cli', ['-p', String(server.port), 'PSUBSCRIBE', '*'])
  test.after(() => void cli.kill())
  let wake = () => {}
  let rest = ''
  cli.stdout?.on('data', (text: string) => {
    rest += text
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    seen.push(...lines)
    wake()
  })
  const until = async (reached: () => boolean) => {
    while (!reached()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const messages = () => seen.flatMap((line, index) => (line === 'pmessage' ? [seen[index + 3] ?? ''] : []))
  return {
    ready: until(() => seen.includes('psubscribe')),
    async messages(count: number) {
      await until(() => messages().length >= count && messages().at(-1) !== '')
      return messages()
    },
  }
}
