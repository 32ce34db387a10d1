import { type ParseArgsConfig, parseArgs } from 'node:util'
import { ExitError } from '../lib/errors.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** A command's options. Throws `ExitError` `usage_invalid` for one that it does not have, and for anything that is no option. */
export function readOptions<T extends Options>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    throw new ExitError('usage_invalid', error instanceof Error ? error.message : String(error), error)
  }
}
