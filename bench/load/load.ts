import { setTimeout as sleep } from 'node:timers/promises'
import { runToEnd, startChild } from '../child.ts'
import type { LoadScenario } from '../scenarios.ts'
import { autocannon } from './autocannon.ts'
import type { LoadGenerator, LoadResult } from './load-generator.ts'
import { wrk } from './wrk.ts'

/** wrk where it is installed: it costs a fraction of what a generator in Node does. */
const generator: LoadGenerator = wrk ?? autocannon

/** For the report. */
export const loadGeneratorName = generator.name

/** Sends requests over keep-alive connections, the next on each as soon as the last is answered. Throws when one fails. */
export async function runLoad(
  url: string,
  scenario: LoadScenario,
  seconds: number,
  dir: string,
): Promise<LoadResult> {
  const { command, args } = generator.command(url, scenario, seconds, dir)
  return generator.parse(await runToEnd(command, args))
}

/**
 * Sends a new process its first requests, until it has answered so many that its hot paths are compiled: by count, since
 * a slow contestant on a busy machine gets through few in a given time.
 */
export async function firstWarmUp(
  url: string,
  scenario: LoadScenario,
  requests: number,
  dir: string,
): Promise<void> {
  let answered = 0
  for (let seconds = 0; seconds < 5 && answered < requests; seconds++)
    answered += (await runLoad(url, scenario, 1, dir)).requests
}

/** Sends the requests of a scenario for a while, and counts nothing. */
export async function warmUp(url: string, scenario: LoadScenario, ms: number, dir: string): Promise<void> {
  const { command, args } = generator.command(url, scenario, Math.ceil(ms / 1000) + 1, dir)
  const child = startChild('load', command, args)
  await sleep(ms)
  await child.stop()
}
