import type { ProblemCode } from '../lib/errors.ts'

/** Upper bounds of the latency histogram, seconds. The last bucket is +Inf. */
export const DURATION_BOUNDS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120,
]

/** What is counted for one route. */
export class RouteCounters {
  /** Answers by `METHOD code`, for example `GET 200`; methods beyond the nine registered ones count as `OTHER`. */
  readonly answers = new Map<string, number>()
  readonly durationCounts = new Float64Array(DURATION_BOUNDS_S.length + 1)
  durationSumS = 0

  answered(method: string, status: number, seconds: number): void {
    const key = `${method} ${status}`
    this.answers.set(key, (this.answers.get(key) ?? 0) + 1)
    let bucket = 0
    while (bucket < DURATION_BOUNDS_S.length && seconds > (DURATION_BOUNDS_S[bucket] as number)) bucket++
    this.durationCounts[bucket] = (this.durationCounts[bucket] as number) + 1
    this.durationSumS += seconds
  }
}

/**
 * Everything the data plane counts, as plain numbers it can bump on its hot path; /metrics and /status read them when asked.
 */
export class TrafficCounters {
  readonly routes = new Map<string, RouteCounters>()
  /** Problem answers by code. */
  readonly problems = new Map<ProblemCode, number>()
  /** Calls between the end of their head and the end of their answer. */
  inFlight = 0
  /** Of these, calls waiting for a token. */
  held = 0
  replays = { accepted: 0, rejected: 0, failed: 0 }
  /** Calls rejected by the upstream whose body had not been kept. */
  unreplayable = 0
  /** Open connections of callers. */
  callers = 0
  upstreamActive = 0
  upstreamIdle = 0

  constructor(routeNames: readonly string[]) {
    for (const name of routeNames) this.routes.set(name, new RouteCounters())
  }

  problem(code: ProblemCode): void {
    this.problems.set(code, (this.problems.get(code) ?? 0) + 1)
  }
}
