import type { Config } from '../../../config/config.ts'
import type { ConfigProblem, ConfigWarning } from '../../../config/config-error.ts'
import type { Finding } from './finding.ts'

/** What the settings say, and what is doubtful in them. */
export function configurationFindings(config: Config, warnings: readonly ConfigWarning[]): Finding[] {
  const routes = counted(config.routes.length, 'route')
  const credentials = counted(config.credentials.length, 'credential')
  return [
    ...warnings.map(warningFinding),
    { result: 'ok', subject: 'configuration', found: `${routes}, ${credentials}` },
  ]
}

/** Settings the process would not start with. */
export function problemFindings(
  problems: readonly ConfigProblem[],
  warnings: readonly ConfigWarning[],
): Finding[] {
  const todo = 'correct it; the meaning of each setting is in token-sidecar --help'
  return [
    ...problems.map(
      ({ variable, message }): Finding => ({ result: 'failed', subject: variable, found: message, todo }),
    ),
    ...warnings.map(warningFinding),
  ]
}

function warningFinding({ variable, message }: ConfigWarning): Finding {
  const todo = 'correct it if it is not meant; the process starts with it'
  return { result: 'warning', subject: variable, found: message, todo }
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`
