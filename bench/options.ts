import { parseArgs } from 'node:util'
import { contestantNames } from './contestants/names.ts'
import { scenarios } from './scenarios.ts'

/** What one run does. */
export interface Options {
  readonly contestants: readonly string[]
  readonly scenarios: readonly string[]
  readonly rounds: number
  /** Length of one load, in whole seconds (wrk knows no fraction); scenarios may take a multiple. */
  readonly seconds: number
  /** Requests a second in the `rate` scenario, the same for every contestant. */
  readonly ratePerS: number
  /** What a new process answers before it is timed, if it gets to that within five seconds. */
  readonly warmUpRequests: number
  /** Least number of times http-proxy must cost what token-sidecar costs; null asserts nothing. */
  readonly assertRatio: number | null
  /** Whether bench/results is written. */
  readonly write: boolean
}

/** Options that cannot be understood; the message says why. */
export class OptionsError extends Error {
  readonly code = 'usage'
}

export const usage = `usage: npm run bench -- [options]

  --quick            direct, token-sidecar, http-proxy and nginx; small GET and POST; writes nothing
  --only a,b         these contestants: ${contestantNames.join(', ')}
  --scenarios a,b    these scenarios: ${scenarios.map(({ name }) => name).join(', ')}
  --rounds N         rounds, interleaved (3)
  --seconds S        length of one load, whole seconds (1)
  --rate N           requests a second in the scenario "rate" (2000)
  --assert-ratio N   fail unless http-proxy costs N times the CPU of token-sidecar in small-32 and post-32
  --no-write         leave bench/results alone
`

const quick = {
  contestants: ['direct', 'token-sidecar', 'http-proxy', 'nginx'],
  scenarios: ['small-32', 'post-32'],
}

/** After so many requests a program in Node costs what it costs from then on; the first ten thousand cost twice that. */
const COMPILED_AFTER_REQUESTS = 40_000
/** Enough to tell a factor of two. */
const QUICK_WARM_UP_REQUESTS = 5000

/** Reads the command line. Throws `OptionsError`. */
export function readOptions(args: readonly string[]): Options {
  const values = parse(args)
  const isQuick = values.quick === true
  const allScenarios = scenarios.map(({ name }) => name)
  const options: Options = {
    contestants: chosen(
      '--only',
      values.only,
      contestantNames,
      isQuick ? quick.contestants : contestantNames,
    ),
    scenarios: chosen(
      '--scenarios',
      values.scenarios,
      allScenarios,
      isQuick ? quick.scenarios : allScenarios,
    ),
    rounds: positive('--rounds', values.rounds, 3, Number.isInteger),
    seconds: positive('--seconds', values.seconds, 1, Number.isInteger),
    ratePerS: positive('--rate', values.rate, 2000),
    assertRatio:
      values['assert-ratio'] === undefined ? null : positive('--assert-ratio', values['assert-ratio'], 1),
    warmUpRequests: isQuick ? QUICK_WARM_UP_REQUESTS : COMPILED_AFTER_REQUESTS,
    write: !isQuick && values['no-write'] !== true,
  }
  if (options.assertRatio !== null) {
    for (const name of ['token-sidecar', 'http-proxy'])
      if (!options.contestants.includes(name)) throw new OptionsError(`--assert-ratio needs ${name} to run`)
    if (!options.scenarios.some((name) => assertedScenarios.includes(name)))
      throw new OptionsError(`--assert-ratio needs one of ${assertedScenarios.join(', ')} to run`)
  }
  return options
}

/** Where `--assert-ratio` looks. */
export const assertedScenarios: readonly string[] = quick.scenarios

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        scenarios: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        rate: { type: 'string' },
        'assert-ratio': { type: 'string' },
        'no-write': { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new OptionsError((error as Error).message)
  }
}

function chosen(
  option: string,
  text: string | undefined,
  known: readonly string[],
  fallback: readonly string[],
): readonly string[] {
  if (text === undefined) return fallback
  const wanted = text.split(',').filter((name) => name !== '')
  const unknown = wanted.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new OptionsError(`${option}: ${unknown} is none of ${known.join(', ')}`)
  if (wanted.length === 0) throw new OptionsError(`${option} names nothing`)
  // The order of the table, whatever the order asked for, so that runs compare.
  return known.filter((name) => wanted.includes(name))
}

function positive(
  option: string,
  text: string | undefined,
  fallback: number,
  fits: (value: number) => boolean = Number.isFinite,
): number {
  if (text === undefined) return fallback
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!(value > 0 && fits(value)))
    throw new OptionsError(`${option}: ${text} is not a positive number that fits`)
  return value
}
