import type { Clock } from '../../proxy/lib/clock.ts'
import { systemClock } from '../../proxy/lib/clock.ts'
import type { LogFields } from '../../proxy/lib/log.ts'
import { Secret } from '../../proxy/lib/secret.ts'
import { RedisMedium } from '../../proxy/stores/redis.ts'
import { createSealer } from '../../proxy/stores/seal.ts'
import { EntryTokenStore } from '../../proxy/stores/token-store.ts'
import type { Teardown } from '../support/sidecar-process-program.ts'

/** One line of the log. */
export interface Line {
  readonly level: string
  readonly event: string
  readonly fields: LogFields
}

/** One process's engine and the store over it, with what it logs. */
export interface RedisReplica {
  readonly medium: RedisMedium
  readonly store: EntryTokenStore
  readonly lines: readonly Line[]
  /** Lines at `warn`, as text. */
  warnings(): string[]
}

export const sealer = createSealer(new Secret('one'), new URL('https://api.test/token'))
export const CHANNEL = `token-sidecar:{${sealer.entryKey}}`

let started = 0

/** Starts an engine that the end of the test closes. */
export function redisReplica(teardown: Teardown, url: string, clock: Clock = systemClock): RedisReplica {
  const lines: Line[] = []
  const keep =
    (level: string) =>
    (event: string, fields: LogFields = {}) => {
      lines.push({ level, event, fields })
    }
  const log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  const medium = new RedisMedium({ url: new Secret(url), clock, random: Math.random, log })
  teardown.after(() => medium.close())
  return {
    medium,
    store: new EntryTokenStore(medium, sealer, clock, `replica-${++started}`),
    lines,
    warnings: () =>
      lines.filter(({ level }) => level === 'warn').map(({ event, fields }) => `${event} ${fields['error']}`),
  }
}
