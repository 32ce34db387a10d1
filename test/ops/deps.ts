import { type Clock, systemClock } from '../../proxy/lib/clock.ts'
import type { Log, LogFields } from '../../proxy/lib/log.ts'
import type { OpsDeps } from '../../proxy/ops/server.ts'
import { TrafficCounters } from '../../proxy/relay/counters.ts'
import type { CredentialStatus } from '../../proxy/token/status.ts'

/** 2030-01-01T00:00:00Z */
export const NOW = Date.UTC(2030, 0, 1)

export const fixedClock: Clock = { ...systemClock, now: () => NOW }

/** A credential in good health. */
export function credential(changes: Partial<CredentialStatus> = {}): CredentialStatus {
  return {
    name: 'default',
    state: 'fresh',
    usable: true,
    lack: null,
    generation: 7,
    fingerprint: '0a1b2c3d',
    mintedAt: NOW - 3_600_000,
    validTill: NOW + 3_600_000,
    nextRefreshAt: NOW + 3_300_000,
    lastError: null,
    mints: {
      total: 3,
      failed: 1,
      today: 12,
      budget: 240,
      outcomes: { minted: 2, adopted: 4, rejected: 0, quota: 0, error: 1, unknown: 0 },
      durationCounts: [0, 1, 1, 0, 0, 0, 0, 0, 1],
      durationSumS: 12.5,
      recent: [],
    },
    foreignMints: 0,
    store: { kind: 'redis', healthy: true, errors: 2 },
    ...changes,
  }
}

/** A credential that has no token yet. */
export function emptyCredential(changes: Partial<CredentialStatus> = {}): CredentialStatus {
  return credential({
    state: 'starting',
    usable: false,
    lack: 'token_unavailable',
    generation: 0,
    fingerprint: null,
    mintedAt: null,
    validTill: null,
    nextRefreshAt: null,
    ...changes,
  })
}

export function opsDeps(changes: Partial<OpsDeps> = {}): OpsDeps {
  return {
    version: '1.2.3',
    clock: fixedClock,
    startedAt: NOW - 90_500,
    routes: [
      {
        name: 'default',
        prefix: '/',
        upstream: new URL('https://api.example.com/base'),
        credential: 'default',
      },
    ],
    credentials: () => [credential()],
    counters: new TrafficCounters(['default']),
    allowedHosts: [],
    lifecycle: { started: () => true, draining: () => false },
    rotate: async () => {
      throw new Error('not expected here')
    },
    quit() {
      throw new Error('not expected here')
    },
    observe: () => () => {},
    log: recordingLog([]),
    runtime: {
      versions: { node: '24.0.0' },
      memoryUsage: () => ({ rss: 50_000_000, heapTotal: 20_000_000, heapUsed: 10_000_000 }),
      cpuUsage: () => ({ user: 1_500_000, system: 500_000 }),
    },
    ...changes,
  }
}

export interface LoggedEvent {
  readonly level: string
  readonly event: string
  readonly fields: LogFields
}

/** A log that keeps what it is told in `events`. */
export function recordingLog(events: LoggedEvent[]): Log {
  const method =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      void events.push({ level, event, fields })
  return { debug: method('debug'), info: method('info'), warn: method('warn'), error: method('error') }
}
