import { parseArgs } from 'node:util'
import { ExitError } from '../lib/errors.ts'
import { type CommandName, commands } from './commands.ts'

type Options<N extends CommandName> = (typeof commands)[N]['options']

/** A command's options, as its row of the table has them. Throws `ExitError` `usage_invalid` for anything else. */
export function readOptions<N extends CommandName>(args: readonly string[], name: N) {
  const options: Options<N> = commands[name].options
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    // Node's message repeats an argument that is no option, and that may be a secret.
    const isPositional = (error as NodeJS.ErrnoException).code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'
    const message = isPositional ? 'takes options only, which begin with --' : (error as Error).message
    throw new ExitError('usage_invalid', `${message}; see token-sidecar ${name} --help`, error)
  }
}
