import { fc } from '../../support/fast-check.ts'
import type { CallPlan, Fleet, StoreFault } from './fleet.ts'
import type { Fate } from './token-api.ts'

const SECOND = 1_000
const HOUR = 3_600_000
/** Faults begin within this time of a run. */
const UNTIL_MS = 85 * SECOND

/** Something that happens to a fleet at an instant. */
export type Happening = { readonly at: number; readonly replica: number } & (
  | { readonly kind: 'call'; readonly plan: CallPlan }
  | { readonly kind: 'foreign-mint' | 'restart' | 'rotate' | 'schedule' }
  | { readonly kind: 'stand-still'; readonly forMs: number; readonly monoStops: boolean }
  /** The process falls asleep this long after it was asked to rotate: with luck, between lease and mint. */
  | { readonly kind: 'doze'; readonly afterMs: number; readonly forMs: number; readonly monoStops: boolean }
  | { readonly kind: 'jump'; readonly byMs: number }
  | { readonly kind: 'store'; readonly fault: StoreFault; readonly delayMs: number }
  | { readonly kind: 'hints'; readonly lost: boolean }
)

/**
 * Fates of requests to the token API. A 429 is left out: it means waiting for midnight. So are more than a few 401s in a
 * row, which mean a quarter of an hour each.
 */
export const fates: fc.Arbitrary<Fate> = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant('ok' as const) },
    {
      weight: 10,
      arbitrary: fc.constantFrom('drop', 'refuse', 'answer-lost', '500-before', '500-after', 'garbage'),
    },
    { weight: 1, arbitrary: fc.constant('401' as const) },
  ),
  thereMs: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 8_000 })),
  backMs: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 8_000 })),
})

const calls: fc.Arbitrary<CallPlan> = fc.record({
  replayable: fc.boolean(),
  endpoint: fc.oneof(
    { weight: 8, arbitrary: fc.constant('good' as const) },
    { weight: 1, arbitrary: fc.constant('bad' as const) },
  ),
  thereMs: fc.integer({ min: 1, max: 1_000 }),
  backMs: fc.integer({ min: 1, max: 1_000 }),
  patienceMs: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 5_000 })),
})

export const happenings: fc.Arbitrary<Happening> = fc
  .tuple(
    fc.integer({ min: 0, max: UNTIL_MS }),
    fc.nat(2),
    fc.oneof(
      { weight: 20, arbitrary: fc.record({ kind: fc.constant('call' as const), plan: calls }) },
      {
        weight: 8,
        arbitrary: fc.record({
          kind: fc.constantFrom(
            'foreign-mint' as const,
            'restart' as const,
            'rotate' as const,
            'schedule' as const,
          ),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('stand-still' as const),
          forMs: fc.integer({ min: 50, max: 30 * SECOND }),
          monoStops: fc.boolean(),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('doze' as const),
          afterMs: fc.integer({ min: 0, max: 400 }),
          forMs: fc.integer({ min: 5 * SECOND, max: 15 * SECOND }),
          monoStops: fc.boolean(),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('jump' as const),
          byMs: fc.integer({ min: -HOUR, max: HOUR }),
        }),
      },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('store' as const),
          fault: fc.constantFrom<StoreFault[]>('none', 'none', 'down', 'writes-fail', 'answers-lost'),
          delayMs: fc.constantFrom(0, 0, 20, 400, 2_000),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('hints' as const), lost: fc.boolean() }) },
    ),
  )
  .map(([at, replica, happening]) => ({ at, replica, ...happening }))

/** Lets it happen. */
export function happen(fleet: Fleet, happening: Happening): void {
  const { replica } = happening
  switch (happening.kind) {
    case 'call':
      fleet.call(replica, happening.plan)
      return
    case 'foreign-mint':
      fleet.api.foreignMint()
      return
    case 'restart':
      fleet.restart(replica)
      return
    case 'rotate':
      fleet.clockOf(replica).deliver(() => fleet.rotate(replica))
      return
    case 'schedule':
      fleet.clockOf(replica).deliver(() => fleet.managerOf(replica).scheduled())
      return
    case 'stand-still':
      fleet.clockOf(replica).standStill(happening.forMs, happening.monoStops)
      return
    case 'doze': {
      const clock = fleet.clockOf(replica)
      clock.deliver(() => fleet.rotate(replica))
      fleet.world.in(happening.afterMs, () => clock.standStill(happening.forMs, happening.monoStops))
      return
    }
    case 'jump':
      fleet.clockOf(replica).jump(happening.byMs)
      return
    case 'store':
      fleet.storeFault = happening.fault
      fleet.storeDelayMs = happening.delayMs
      return
    case 'hints':
      fleet.hintsLost = happening.lost
  }
}
