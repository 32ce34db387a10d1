import { after, it } from 'node:test'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { RedisMedium } from '../../proxy/stores/redis.ts'
import { skipReason, startRedisServer } from '../support/redis-server.ts'
import { harnessOf, tokenStoreContract } from './contract.ts'

if (skipReason !== false) {
  it('a token store (redis)', { skip: skipReason }, () => {})
} else {
  const server = await startRedisServer({ after })
  tokenStoreContract('redis', async () => {
    server.cli('FLUSHALL')
    return harnessOf(
      () =>
        new RedisMedium({
          url: new Secret(server.url()),
          clock: systemClock,
          random: Math.random,
          log: silentLog,
        }),
      async () => {},
    )
  })
}
