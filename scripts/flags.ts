import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>

/** The flags of a script. Prints `usage` and ends the process where they cannot be understood, or with `--help`. */
export function readFlags<T extends Options>(usage: string, options: T) {
  if (process.argv.includes('--help')) {
    console.log(usage)
    process.exit(0)
  }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error((error as Error).message)
    return misused(usage)
  }
}

/** Ends the process: a flag has a value it cannot have. */
export function misused(usage: string): never {
  console.error(usage)
  process.exit(64)
}
