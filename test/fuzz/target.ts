import fc from 'fast-check'
import { StrayErrors } from './stray-errors.ts'

/** What one fuzzer does: makes inputs, and throws when one of them does what none may. */
export interface FuzzTarget<Input> {
  /** As `--only` takes it. */
  readonly name: string
  readonly inputs: fc.Arbitrary<Input>
  /** Inputs that failed once. They come first, always. */
  readonly regressions: readonly Input[]
  /** How many random inputs a test run tries: a few seconds of them. */
  readonly testRuns: number
  /** Throws, or rejects, when the product does with this input what it must not. */
  run(input: Input): void | Promise<void>
}

/** How a bounded number of runs ended. */
export interface FuzzOutcome {
  readonly runs: number
  /** What failed, shrunk, in words for people; null when nothing did. */
  readonly failure: string | null
}

/** A target with the type of its inputs forgotten, so that all of them fit in one list. */
export interface Fuzzer {
  readonly name: string
  readonly testRuns: number
  readonly regressions: number
  /** Tries the regressions and then `runs` inputs of that seed. Stops between two runs once `signal` aborts. */
  fuzz(seed: number, runs: number, signal?: AbortSignal): Promise<FuzzOutcome>
}

/** Shrinking goes on for this long at most; an exchange that fails slowly would take hours. */
const SHRINK_LIMIT_MS = 60_000

export function fuzzer<Input>(target: FuzzTarget<Input>): Fuzzer {
  const { name, testRuns, regressions } = target
  return {
    name,
    testRuns,
    regressions: regressions.length,
    async fuzz(seed, runs, signal) {
      const stray = new StrayErrors()
      let failedAt: number | null = null
      const property = fc.asyncProperty(target.inputs, async (input) => {
        // Once it is time to stop, inputs count as fine: nothing new is found, and shrinking ends.
        if (signal?.aborted || (failedAt !== null && performance.now() - failedAt > SHRINK_LIMIT_MS)) return
        try {
          await target.run(input)
          await stray.expectNone()
        } catch (error) {
          failedAt ??= performance.now()
          throw error
        }
      })
      try {
        const details = await fc.check(property, {
          seed,
          numRuns: regressions.length + runs,
          examples: regressions.map((input) => [input] as [Input]),
        })
        return { runs: details.numRuns, failure: details.failed ? told(details) : null }
      } finally {
        stray.stop()
      }
    },
  }
}

function told<Input>(details: fc.RunDetails<[Input]>): string {
  const error = details.errorInstance
  const causes = error instanceof AggregateError ? error.errors : []
  const traces = [error, ...causes].map((cause) => (cause instanceof Error ? (cause.stack ?? cause) : cause))
  return [fc.defaultReportMessage(details), ...traces].join('\n\n')
}
