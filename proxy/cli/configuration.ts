import { readFileSync } from 'node:fs'
import type { Config } from '../../config/config.ts'
import type { ConfigWarning } from '../../config/config-error.ts'
import { loadConfig } from '../../config/load.ts'
import type { Edge } from './edge.ts'

/** The configuration of the environment the command was started in. Throws `ConfigError`. */
export function configurationOf(edge: Edge): {
  readonly config: Config
  readonly warnings: readonly ConfigWarning[]
} {
  return loadConfig({ env: edge.env, homeDir: edge.homeDir, readFile: (path) => readFileSync(path, 'utf8') })
}
