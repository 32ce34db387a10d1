#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { bugReport, runCli } from './cli/cli.ts'
import type { Edge } from './cli/edge.ts'
import { systemClock } from './lib/clock.ts'
import { leaveOutOfCoreDumps } from './lib/core-dump.ts'
import { exits } from './lib/errors.ts'
import { lineWriter } from './ops/line-writer.ts'

/** The process edge, and the only file that names `process`. */

declare global {
  /** Set when the program is bundled; see scripts/build.ts. */
  var TOKEN_SIDECAR_VERSION: string | undefined
}

// Loading modules makes V8 give the young generation some 40 MB that are never needed again; calls leave little to collect.
// Before anything large is loaded, and measured: a third less memory, the same processor time for a call.
setFlagsFromString('--semi-space-growth-factor=1')

// What this process makes is its user's own, until whoever makes it says otherwise.
process.umask(0o077)
leaveOutOfCoreDumps()
// Node's own answer to this signal is an inspector: a port where any program of this host could read the secrets.
process.on('SIGUSR1', () => {})

/** How long the last output may take to leave. */
const LAST_WORDS_MS = 1_000

const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    // Whoever signals twice does not want to wait for calls under way.
    if (stop.signal.aborted) process.exit(exits.ok)
    stop.abort(signal)
  })
}

const edge: Edge = {
  args: process.argv.slice(2),
  env: { ...process.env },
  homeDir: homeOfUser(),
  forget: (variables) => {
    for (const variable of variables) delete process.env[variable]
  },
  // A reader that went away (`token-sidecar status | head`) or that does not read is no reason to crash or to wait.
  out: lineWriter(process.stdout),
  err: lineWriter(process.stderr),
  // https://no-color.org: set to anything but nothing. A terminal that says it is dumb shows control sequences as they are.
  outHasColour: process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
  stopped: stop.signal,
  version: globalThis.TOKEN_SIDECAR_VERSION ?? packageVersion(),
  runtime: process,
}

// Node itself would print the error's own fields, where a call's head may be, and the whole bundle as the line it came from.
process.on('uncaughtException', (error) => {
  edge.err(bugReport(error))
  process.exit(exits.internal_error)
})
process.exitCode = await runCli(edge)
// What is still open now (an idle keep-alive connection, say) must not keep the process, nor must a reader of what was
// written that has stopped reading.
systemClock.after(LAST_WORDS_MS, () => process.exit())
process.stdout.write('', () => process.exit())

/** A user by number alone, as containers have, may have no home; such a process's HOME is usually the root. */
function homeOfUser(): string {
  try {
    return homedir()
  } catch {
    return '/'
  }
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
