import type { Config } from '../../config/config.ts'
import { ConfigError } from '../../config/config-error.ts'
import { systemClock } from '../lib/clock.ts'
import { ExitError } from '../lib/errors.ts'
import { ownCertificateFindings } from './check/certificates.ts'
import { configurationFindings, problemFindings } from './check/configuration.ts'
import type { Finding } from './check/finding.ts'
import { hostFindings } from './check/host.ts'
import { listenerFindings } from './check/listeners.ts'
import { findingLines, findingsJson } from './check/report.ts'
import { secretFindings } from './check/secret.ts'
import { storeFinding } from './check/store.ts'
import { configurationOf } from './configuration.ts'
import type { Edge } from './edge.ts'
import { readOptions } from './options.ts'

/** For each part; all are looked at together. */
const TIMEOUT_MS = 5_000

/**
 * Looks at everything the sidecar needs, from the settings to the answers of both APIs, and says of each what to do about it.
 * It never mints: that would revoke the token in use. `--config-only` stops before store, network and addresses.
 */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { 'config-only': configOnly, json } = readOptions(args, 'check')
  const print = (findings: readonly Finding[]) =>
    edge.out(json ? findingsJson(findings) : findingLines(findings, edge.outHasColour))
  let loaded: ReturnType<typeof configurationOf>
  try {
    loaded = configurationOf(edge)
  } catch (error) {
    if (json && error instanceof ConfigError) print(problemFindings(error.problems, error.warnings))
    throw error
  }
  const { config, warnings } = loaded
  const settings = configurationFindings(config, warnings)
  const findings = configOnly ? settings : [...settings, ...(await surroundings(config))]
  print(findings)
  const failed = findings.filter(({ result }) => result === 'failed').length
  if (failed > 0) {
    const count = failed === 1 ? 'one check' : `${failed} checks`
    throw new ExitError('unavailable', `${count} failed, see above`)
  }
}

/** All at once, told in the order of this list, however long each takes. */
async function surroundings(config: Config): Promise<Finding[]> {
  const limit = () => AbortSignal.timeout(TIMEOUT_MS)
  const parts: (Promise<readonly Finding[]> | readonly Finding[])[] = [
    ...config.credentials.map(secretFindings),
    ownCertificateFindings(config, systemClock.now()),
    ...config.credentials.map(async (credential) => [await storeFinding(config, credential, limit())]),
    ...listenerFindings(config, limit).map(async (finding) => [await finding]),
    ...hostFindings(config, limit),
  ]
  return (await Promise.all(parts)).flat()
}
