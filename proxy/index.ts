import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
// What metrics tell of the process, and nothing by which it could be changed.
import { cpuUsage, memoryUsage, versions } from 'node:process'
import { embeddedDefaults } from '../config/embedded-defaults.ts'
import { loadConfig } from '../config/load.ts'
import type { SidecarSettings } from '../config/sidecar-settings.ts'
import { startApp } from './app.ts'
import { aborted } from './lib/abort.ts'
import { systemClock } from './lib/clock.ts'
import { type Log, silentLog } from './lib/log.ts'
import { cronTicker } from './lib/ticker.ts'

/**
 * The sidecar as a library, for tests of an app and for apps that cannot have a process beside them; see docs/embedding.md.
 * It leaves the process it runs in alone: no signals, no exit, no variables, nothing written to its output.
 */

export { ConfigError, type ConfigProblem } from '../config/config-error.ts'
export type { SidecarSettings } from '../config/sidecar-settings.ts'
export { createSandbox, type Sandbox, type SandboxSettings, type TokenRequest } from '../sandbox/embedded.ts'
export type { BusinessFault, Fault, TokenFault } from '../sandbox/faults.ts'
export type { Log, LogFields } from './lib/log.ts'

export interface SidecarOptions {
  /**
   * Takes the events of docs/operations.md, of every level: `LOG_LEVEL` and `LOG_FORMAT` have no effect here. Default:
   * nothing is logged.
   */
  readonly log?: Log
}

/** A running sidecar. */
export interface Sidecar {
  /** The base URL for the app: `http://127.0.0.1:PORT`, or what `LISTEN` says. */
  readonly url: string
  /** Health, metrics and status. */
  readonly opsUrl: string
  /** Lets calls under way finish for `SHUTDOWN_TIMEOUT`, then ends everything. May be called more than once. */
  stop(): Promise<void>
}

/**
 * Starts a sidecar in this process. Settings have the names, the defaults (but for the two ports) and the checks that they have
 * in an environment. Resolves when it accepts calls; calls that come before the first token wait for it.
 *
 * Rejects with `ConfigError`, which lists every problem at once, or with an error whose `code` is `unavailable` when an
 * address cannot be bound.
 */
export async function createSidecar(
  settings: SidecarSettings,
  { log = silentLog }: SidecarOptions = {},
): Promise<Sidecar> {
  const { config, warnings } = loadConfig({
    env: {
      ...settings,
      // Set to nothing is not set, as in an environment.
      LISTEN: settings.LISTEN?.trim() || embeddedDefaults.LISTEN,
      OPS_LISTEN: settings.OPS_LISTEN?.trim() || embeddedDefaults.OPS_LISTEN,
    },
    homeDir: homedir(),
    readFile: (path) => readFileSync(path, 'utf8'),
  })
  for (const { variable, message } of warnings) log.warn('config_warning', { variable, message })

  const quit = new AbortController()
  const app = await startApp({
    config,
    version: globalThis.TOKEN_SIDECAR_VERSION ?? 'unbundled',
    clock: systemClock,
    ticker: cronTicker,
    random: Math.random,
    id: randomUUID(),
    readFile: (path) => readFile(path, 'utf8'),
    runtime: { versions, memoryUsage, cpuUsage },
    log,
    quit: () => quit.abort(),
  })
  let ending: Promise<void> | undefined
  const stop = () => {
    ending ??= app.stop()
    return ending
  }
  // `POST /quit` asks for the sidecar's end, not for that of the process around it.
  void aborted(quit.signal).then(stop)
  return { url: app.url, opsUrl: app.opsUrl, stop }
}
