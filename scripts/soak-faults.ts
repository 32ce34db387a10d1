import type { BusinessFault, Fault, TokenFault } from '../sandbox/faults.ts'
import type { Sandbox } from '../sandbox/server.ts'
import type { GarbageKind } from '../sandbox/token-answers.ts'
import type { Trouble } from './soak-blame.ts'

/** Uniform in [0, 1), and the same again for the same seed (mulberry32). */
export type Random = () => number

export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function between(random: Random, least: number, most: number): number {
  return Math.floor(least + random() * (most - least + 1))
}

export function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[between(random, 0, values.length - 1)] as T
}

const garbageKinds: readonly GarbageKind[] = [
  'empty',
  'html',
  'no-token',
  'errors',
  'token-and-errors',
  'truncated-json',
  'truncated-body',
]
/** A call that was under way when the trouble ended may fail a moment later. */
const SLACK_MS = 500

const tokenFaults: readonly ((random: Random) => TokenFault)[] = [
  (random) => ({
    api: 'token',
    kind: 'status',
    status: oneOf(random, [500, 502, 503]),
    body: oneOf(random, ['json', 'html', 'empty']),
    count: between(random, 1, 2),
  }),
  (random) => ({ api: 'token', kind: 'reset', count: between(random, 1, 2) }),
  () => ({ api: 'token', kind: 'lose-answer', count: 1 }),
  (random) => ({ api: 'token', kind: 'hang', mints: random() < 0.5, count: 1 }),
  (random) => ({
    api: 'token',
    kind: 'garbage',
    body: oneOf(random, garbageKinds),
    mints: random() < 0.5,
    count: 1,
  }),
  (random) => ({ api: 'token', kind: 'slow', ms: between(random, 100, 1_400), count: 1 }),
  (random) => ({ api: 'token', kind: 'slow-answer', ms: between(random, 100, 1_400), count: 1 }),
  (random) => ({ api: 'token', kind: 'skew', ms: between(random, -60_000, 60_000), count: 2 }),
  () => ({ api: 'token', kind: 'foreign-mint', count: 1 }),
  (random) => ({ api: 'token', kind: 'refuse', forMs: between(random, 300, 2_000) }),
]

const businessFaults: readonly {
  readonly make: (random: Random) => BusinessFault & { readonly forMs: number }
  readonly explains: readonly string[]
}[] = [
  {
    make: (random) => ({
      api: 'business',
      kind: 'latency',
      ms: between(random, 50, 500),
      forMs: short(random),
    }),
    explains: [],
  },
  { make: (random) => ({ api: 'business', kind: 'check-at-end', forMs: short(random) }), explains: [] },
  {
    make: (random) => ({ api: 'business', kind: 'status', status: 503, forMs: short(random) }),
    explains: ['status 503'],
  },
  {
    make: (random) => ({ api: 'business', kind: 'reset', forMs: short(random) }),
    explains: ['status 502 upstream_unreachable', 'status 502 upstream_protocol_error'],
  },
  { make: (random) => ({ api: 'business', kind: 'reject', forMs: short(random) }), explains: ['status 401'] },
  {
    make: (random) => ({ api: 'business', kind: 'refuse', forMs: short(random) }),
    explains: ['status 502 upstream_unreachable', 'status 502 upstream_protocol_error'],
  },
]

/** Lets something go wrong that chance chooses; tells what, and what failures of calls it accounts for. */
export function inflict(
  sandbox: Sandbox,
  random: Random,
): { readonly name: string; readonly trouble: Trouble | null } {
  const dice = random()
  if (dice < 0.15) {
    sandbox.foreignMint()
    return { name: 'foreign mint', trouble: null }
  }
  if (dice < 0.7) {
    const fault = oneOf(random, tokenFaults)(random)
    sandbox.faults.add(fault)
    return { name: nameOf(fault), trouble: null }
  }
  const { make, explains } = oneOf(random, businessFaults)
  const fault = make(random)
  sandbox.faults.add(fault)
  const from = Date.now()
  return { name: nameOf(fault), trouble: { from, until: from + fault.forMs + SLACK_MS, explains } }
}

function short(random: Random): number {
  return between(random, 200, 1_000)
}

function nameOf({ api, kind }: Fault): string {
  return `${api} ${kind}`
}
