import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSuspect, nextDue, rejectionMintFrom, wanted } from '../../proxy/token/due.ts'
import { type Instant, initialState, type TokenState } from '../../proxy/token/state.ts'
import { HOUR, MINUTE, NOON, policy, SECOND, TODAY, tokenOf } from './machine-driver.ts'

const at: Instant = {
  now: NOON,
  mono: 1_000_000,
  random: 0.5,
  acceptedSentAt: -1,
  unreplayableInFlight: 0,
  storePollMs: 5_000,
}
const held: Partial<TokenState> = {
  token: tokenOf(1, { mintedAt: NOON - HOUR / 2, validTill: NOON + HOUR / 2 }),
}
const suspect: Partial<TokenState> = {
  ...held,
  rejectedAt: at.mono,
  surelyRejectedAt: at.mono,
  suspectSince: at.mono,
}

/** What is due, in milliseconds from now; null = nothing ever. */
const cases: [
  title: string,
  state: Partial<TokenState>,
  reason: string | null,
  inMs?: number,
  over?: Partial<Instant>,
][] = [
  ['no token: at once', {}, 'missing', 0],
  ['an expired token: at once', { token: tokenOf(1, { validTill: NOON }) }, 'missing', 0],
  ['a living token: at its refresh time', held, 'refresh', 25 * MINUTE],
  ['a token without end: never', { token: tokenOf(1, { validTill: null }) }, null],
  ['a suspect token: at once', suspect, 'rejected', 0],
  [
    'a suspicion cleared by a call sent since: the refresh time',
    suspect,
    'refresh',
    25 * MINUTE,
    { acceptedSentAt: at.mono + 1 },
  ],
  [
    'a suspicion that accepted calls speak against: a quarter of a second after the last of them',
    { ...suspect, surelyRejectedAt: null },
    'rejected',
    250,
    { acceptedSentAt: at.mono - 1 },
  ],
  ['a person’s wish: at once', { ...held, asked: true }, 'asked', 0],
  ['the schedule: at once', { ...held, scheduled: true }, 'scheduled', 0],
  ['another secret: at once', { ...held, orphan: true }, 'secret_changed', 0],
  [
    'an unanswered mint: after its quarantine',
    { ...held, unknownSince: 0, quietUntil: at.mono + SECOND },
    'unknown_outcome',
    SECOND,
  ],
  [
    'the quarantine holds for a person too',
    { ...held, asked: true, quietUntil: at.mono + SECOND },
    'asked',
    SECOND,
  ],
  [
    'a store that failed is left alone by a person too',
    { ...held, asked: true, storeRetryAt: at.mono + 300 },
    'asked',
    300,
  ],
  [
    'a pause holds for everything automatic',
    { ...suspect, pause: { until: at.mono + MINUTE, untilEpochMs: null, why: 'failed' } },
    'rejected',
    MINUTE,
  ],
  [
    'and for nobody’s wish',
    { ...suspect, asked: true, pause: { until: at.mono + MINUTE, untilEpochMs: null, why: 'failed' } },
    'asked',
    0,
  ],
  [
    'a pause until midnight ends by the wall clock if that is sooner',
    { pause: { until: at.mono + 12 * HOUR, untilEpochMs: NOON + HOUR, why: 'quota' } },
    'missing',
    HOUR,
  ],
  ['a spent budget: at midnight', { requests: { day: TODAY, count: 240 } }, 'missing', 12 * HOUR],
  [
    'a low budget: at its pace',
    { requests: { day: TODAY, count: 239 }, lastRequestAt: at.mono - HOUR },
    'missing',
    5 * HOUR,
  ],
  ['a second after the last request at the soonest', { lastRequestAt: at.mono - 400 }, 'missing', 600],
  [
    'a rejection within MINT_MIN_INTERVAL: after it',
    { ...suspect, rejectionMintAt: at.mono - 10 * SECOND, rejectionStreak: 1 },
    'rejected',
    20 * SECOND,
  ],
  [
    'calls that cannot be repeated put a refresh off by seconds',
    held,
    'refresh',
    25 * MINUTE + 5 * SECOND,
    { unreplayableInFlight: 1 },
  ],
  [
    'but not past half of what is left of the token',
    { token: tokenOf(1, { mintedAt: NOON, validTill: NOON + 10 * SECOND }) },
    'refresh',
    9_500,
    { unreplayableInFlight: 1 },
  ],
  ['nothing is due to a process that ends', { asked: true, stopping: true }, null],
]

for (const [title, over, reason, inMs, instant] of cases) {
  test(`due: ${title}`, () => {
    const due = nextDue({ ...initialState, ...over }, { ...at, ...instant }, policy)
    const told = due && [due.reason, Math.max(0, due.at - at.mono)]
    assert.deepEqual(told, reason === null ? null : [reason, inMs])
  })
}

test('of several reasons the one that is due first counts', () => {
  const both = { ...initialState, ...suspect, scheduled: true, rejectionMintAt: at.mono, rejectionStreak: 3 }
  assert.equal(nextDue(both, at, policy)?.reason, 'scheduled')
})

test('what a token is wanted for does not depend on pauses', () => {
  const paused = {
    ...suspect,
    pause: { until: Number.MAX_VALUE, untilEpochMs: null, why: 'failed' },
  } as const
  assert.equal(wanted({ ...initialState, ...paused }, at, policy), 'rejected')
  assert.equal(wanted({ ...initialState, ...held }, at, policy), null)
  assert.equal(wanted({ ...initialState, ...suspect, asked: true }, at, policy), 'asked')
})

test('only a call sent after the rejection came back clears a token', () => {
  const state = { ...initialState, ...suspect }
  assert.ok(isSuspect(state, { ...at, acceptedSentAt: at.mono }))
  assert.ok(!isSuspect(state, { ...at, acceptedSentAt: at.mono + 1 }))
})

const extremes: [title: string, mintMinIntervalMs: number, rejectionStreak: number, pauseMs: number][] = [
  ['MINT_MIN_INTERVAL holds beyond the longest growing pause', 2 * HOUR, 3, 2 * HOUR],
  ['a MINT_MIN_INTERVAL of nothing still grows', 0, 5, 1_600],
]

for (const [title, mintMinIntervalMs, rejectionStreak, pauseMs] of extremes) {
  test(title, () => {
    const state = { ...initialState, rejectionMintAt: 0, rejectionStreak }
    assert.equal(rejectionMintFrom(state, { ...policy, mintMinIntervalMs }), pauseMs)
  })
}

const intervals: [rejections: number, foreign: number, seconds: number][] = [
  [0, 0, 30],
  [1, 0, 30],
  [2, 0, 60],
  [7, 0, 1_920],
  [8, 0, 3_600],
  [1, 5, 30],
  [1, 7, 64],
  [1, 20, 300],
]

for (const [rejectionStreak, foreignStreak, seconds] of intervals) {
  test(`after ${rejectionStreak} vain replacements and ${foreignStreak} foreign mints a rejection waits ${seconds} s`, () => {
    const state = { ...initialState, rejectionMintAt: 0, rejectionStreak, foreignStreak }
    assert.equal(rejectionMintFrom(state, policy), seconds * SECOND)
  })
}
