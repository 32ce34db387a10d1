import { ExitError, exits } from '../lib/errors.ts'
import { commandNamed, commands } from './commands.ts'
import type { Edge } from './edge.ts'

/** Runs the command the arguments name; resolves to the exit code. Every failure ends here, in words on standard error. */
export async function runCli(edge: Edge): Promise<number> {
  try {
    const [first, ...rest] = edge.args
    const isOption = first === undefined || first.startsWith('-')
    const name = isOption ? 'serve' : first
    const args = isOption ? edge.args : rest
    if (args.includes('--version')) {
      edge.out(`${edge.version}\n`)
      return exits.ok
    }
    const command = commandNamed(name)
    if (command === undefined) throw new ExitError('usage_invalid', await unknownCommand(name))
    if (command.ownHelp !== true && (args.includes('--help') || args.includes('-h'))) {
      const { commandHelp, programHelp } = await import('./help.ts')
      edge.out(isOption || name === 'serve' ? await programHelp() : commandHelp(name, command))
      return exits.ok
    }
    await (await command.load()).run(edge, args)
    return exits.ok
  } catch (error) {
    if (error instanceof ExitError) {
      edge.err(`token-sidecar: ${error.message}\n`)
      return exits[error.code]
    }
    edge.err(bugReport(error))
    return exits.internal_error
  }
}

/** What is printed of an error that nobody expected: its stack, and nothing of what else it holds. */
export function bugReport(error: unknown): string {
  const stack = error instanceof Error ? error.stack : String(error)
  return `token-sidecar: this is a bug, please report it\n${stack}\n`
}

/** What is not like a command's name may be a secret in the wrong place. */
function shown(name: string): string {
  return /^[a-z-]{1,20}$/.test(name) ? name : 'of that name'
}

/** Names the command that was probably meant. */
async function unknownCommand(name: string): Promise<string> {
  const { compared, resemblance } = await import('../../config/resemblance.ts')
  const given = compared(name.toUpperCase())
  const nearest = Object.keys(commands).find(
    (known) => resemblance(given, compared(known.toUpperCase())) !== null,
  )
  const hint = nearest === undefined ? '' : `did you mean ${nearest}? `
  return `there is no command ${shown(name)}; ${hint}see token-sidecar --help`
}
