import { exits } from '../lib/errors.ts'
import { type Command, commands } from './commands.ts'

const EXIT_CODES = `Exit codes: ${exits.ok} done; ${exits.usage_invalid} wrong usage; ${exits.unavailable} unavailable; ${exits.internal_error} a bug; ${exits.config_invalid} bad configuration.`

/** Everything: commands, examples, settings. */
export async function programHelp(): Promise<string> {
  const { settingsHelp } = await import('../../config/describe.ts')
  const all: readonly Command[] = Object.values(commands)
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)
  return [
    'token-sidecar [command] [--help] [--version]',
    '',
    'Forwards plain HTTP calls to Clear’s business APIs with a valid access token injected.',
    '',
    'Commands (see also token-sidecar COMMAND --help)',
    ...columns(rows),
    '',
    'Examples',
    ...exampleLines(all.flatMap(({ examples }) => examples.slice(0, 1))),
    '',
    EXIT_CODES,
    '',
    settingsHelp(),
  ].join('\n')
}

/** One command's own help. */
export function commandHelp(name: string, command: Command): string {
  const options = Object.entries(command.options).map(
    ([option, { value, about }]) =>
      [value === undefined ? `--${option}` : `--${option} ${value}`, about] as const,
  )
  const words = command.words === undefined ? '' : ` ${command.words.join('|')}`
  return [
    `token-sidecar ${name}${words}${options.length === 0 ? '' : ' [options]'}`,
    '',
    `${capital(command.summary)}.`,
    ...(command.more === undefined ? [] : [command.more]),
    ...(options.length === 0 ? [] : ['', 'Options', ...columns(options)]),
    ...(command.examples.length === 0 ? [] : ['', 'Examples', ...exampleLines(command.examples)]),
    '',
    EXIT_CODES,
    'Settings are environment variables; token-sidecar --help lists them.',
    '',
  ].join('\n')
}

function exampleLines(examples: Command['examples']): string[] {
  return examples.flatMap(([line, about]) => (about === '' ? [`  ${line}`] : [`  # ${about}`, `  ${line}`]))
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([first]) => first.length))
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`)
}

const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)
