import type { ProblemCode } from '../../lib/errors.ts'
import type { TrafficCounters } from '../../relay/counters.ts'
import type { CredentialStatus } from '../../token/status.ts'
import type { Health } from '../health.ts'
import type { RouteSummary } from '../status.ts'
import type { TrafficReading } from '../traffic-history.ts'

/** Everything the page tells of, at one instant. */
export interface PageFacts {
  readonly version: string
  /** Epoch ms. */
  readonly startedAt: number
  /** Epoch ms. */
  readonly now: number
  readonly readiness: Health
  readonly draining: boolean
  readonly credentials: readonly CredentialStatus[]
  readonly routes: readonly RouteSummary[]
  readonly counters: TrafficCounters
  /** Oldest first; the last one is of this moment. */
  readonly readings: readonly TrafficReading[]
  /** When each problem was last answered, epoch ms. */
  readonly lastSeen: ReadonlyMap<ProblemCode, number>
}
