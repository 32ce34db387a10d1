import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { secretVariables } from '../../config/variables.ts'
import { startApp } from '../app.ts'
import { aborted } from '../lib/abort.ts'
import { systemClock } from '../lib/clock.ts'
import { cronTicker } from '../lib/ticker.ts'
import { createProcessLog } from '../ops/process-log.ts'
import { configurationOf } from './configuration.ts'
import type { Edge } from './edge.ts'
import { readOptions } from './options.ts'

/** Runs the sidecar until SIGTERM, SIGINT or `POST /quit`; calls under way are finished first. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  readOptions(args, 'serve')
  const { config, warnings } = configurationOf(edge)
  edge.forget(secretVariables(edge.env))
  const { level, format } = config.log
  const { log, recordCall, flush } = createProcessLog({
    level,
    format,
    write: edge.out,
    colour: edge.outHasColour,
    clock: systemClock,
  })
  for (const { variable, message } of warnings) log.warn('config_warning', { variable, message })

  const quit = new AbortController()
  const app = await startApp({
    config,
    version: edge.version,
    clock: systemClock,
    ticker: cronTicker,
    random: Math.random,
    id: randomUUID(),
    readFile: (path) => readFile(path, 'utf8'),
    runtime: edge.runtime,
    log,
    recordCall,
    quit: () => quit.abort(),
  })
  await Promise.race([aborted(edge.stopped), aborted(quit.signal)])
  await app.stop()
  flush()
}
