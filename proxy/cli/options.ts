import { type ParseArgsConfig, parseArgs } from 'node:util'
import { ExitError } from '../lib/errors.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** A command's options. Throws `ExitError` `usage_invalid` for one that it does not have, and for anything that is no option. */
export function readOptions<T extends Options>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    // Node's message repeats an argument that is no option, and that may be a secret.
    const isPositional = (error as NodeJS.ErrnoException).code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'
    const message = isPositional ? 'takes options only, which begin with --' : (error as Error).message
    throw new ExitError('usage_invalid', message, error)
  }
}
