import type { LoadScenario } from '../scenarios.ts'

/** What a load generator saw. */
export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** A program that sends requests in a closed loop. */
export interface LoadGenerator {
  /** Name and version, for the report. */
  readonly name: string
  /** How to run it for whole seconds; files it needs go to `dir`. */
  command(
    url: string,
    scenario: LoadScenario,
    seconds: number,
    dir: string,
  ): { readonly command: string; readonly args: readonly string[] }
  /** Reads what it printed. Throws when a request failed. */
  parse(output: string): LoadResult
}
