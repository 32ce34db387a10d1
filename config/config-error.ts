import { ExitError } from '../proxy/lib/errors.ts'

/** What is wrong with one variable. The message reads on from its name and never holds a secret. */
export interface ConfigProblem {
  readonly variable: string
  readonly message: string
}

/** What is probably not meant, although the process can start with it. */
export type ConfigWarning = ConfigProblem

/** Everything that is wrong with the environment, at once. Warnings are included: one often explains a problem. */
export class ConfigError extends ExitError {
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigWarning[]

  constructor(problems: readonly ConfigProblem[], warnings: readonly ConfigWarning[]) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    const lines = [`The configuration has ${count}:`, ...problems.map(line)]
    if (warnings.length > 0) lines.push('Also noticed:', ...warnings.map(line))
    super('config_invalid', lines.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
    this.warnings = warnings
  }
}

function line({ variable, message }: ConfigProblem): string {
  return `  ${variable} ${message}`
}
