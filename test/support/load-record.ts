import assert from 'node:assert/strict'
import { type Load, type LoadOptions, type Outcome, startLoad } from './load.ts'
import type { Teardown } from './sidecar-process-program.ts'

/** A load whose calls are all kept, to be judged afterwards. */
export interface RecordedLoad extends Load {
  readonly outcomes: readonly Outcome[]
  /** Resolves when `count` more calls have ended. Rejects when that takes 30 s. */
  more(count: number): Promise<void>
}

const PATIENCE_MS = 120_000

/** Starts a load that the end of the test stops. */
export function startRecordedLoad(teardown: Teardown, options: Omit<LoadOptions, 'done'>): RecordedLoad {
  const outcomes: Outcome[] = []
  const watchers = new Set<() => void>()
  const load = startLoad({
    ...options,
    done(outcome) {
      outcomes.push(outcome)
      for (const watcher of [...watchers]) watcher()
    },
  })
  teardown.after(() => load.stop())
  return {
    outcomes,
    stop: () => load.stop(),
    more(count) {
      const wanted = outcomes.length + count
      return new Promise((resolve, reject) => {
        const look = () => {
          if (outcomes.length < wanted) return
          end()
          resolve()
        }
        const end = () => {
          clearTimeout(timer)
          watchers.delete(look)
        }
        const timer = setTimeout(() => {
          end()
          reject(
            new Error(
              `${wanted - outcomes.length} of ${count} calls have not ended in ${PATIENCE_MS / 1_000} s`,
            ),
          )
        }, PATIENCE_MS)
        watchers.add(look)
      })
    },
  }
}

/** Fails, with a count for each cause, unless there were calls and all went well. */
export function assertAllWell(outcomes: readonly Outcome[]): void {
  assert.ok(outcomes.length > 0, 'calls were made')
  assert.deepEqual(failuresOf(outcomes), {}, `of ${outcomes.length} calls none fails`)
}

/** How many calls failed for which cause. */
export function failuresOf(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { failure } of outcomes) if (failure !== null) counts[failure] = (counts[failure] ?? 0) + 1
  return counts
}

export function longestMs(outcomes: readonly Outcome[]): number {
  return outcomes.reduce((longest, { latencyMs }) => Math.max(longest, latencyMs), 0)
}

/** One line on latency: of all calls, and of those under way within half a second of one of the instants (epoch ms). */
export function latencyReport(outcomes: readonly Outcome[], rotations: readonly number[]): string {
  const near = outcomes.filter(({ startedAt, latencyMs }) =>
    rotations.some((at) => startedAt <= at + 500 && startedAt + latencyMs >= at - 500),
  )
  return `${outcomes.length} calls: ${quantiles(outcomes)}; ${near.length} around rotations: ${quantiles(near)}`
}

function quantiles(outcomes: readonly Outcome[]): string {
  const sorted = outcomes.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(0)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`
}
