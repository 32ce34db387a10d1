import { ExitError, exits } from '../lib/errors.ts'
import type { Edge } from './edge.ts'

/** One command of the program. Its module is loaded when it is called for, so that none pays for the others. */
interface Command {
  readonly summary: string
  /** It has flags enough to explain them itself. */
  readonly ownHelp?: true
  readonly load: () => Promise<{ run(edge: Edge, args: readonly string[]): Promise<void> }>
}

/** The commands, in the order `--help` shows them. */
const commands: Readonly<Record<string, Command>> = {
  serve: { summary: 'run the sidecar (the default)', load: () => import('./serve.ts') },
  check: {
    summary: 'validate the configuration, reach store and upstream; never mints',
    load: () => import('./check.ts'),
  },
  status: { summary: 'print the state of the running sidecar (--json)', load: () => import('./status.ts') },
  rotate: { summary: 'have the running sidecar mint a new token now', load: () => import('./rotate.ts') },
  wait: {
    summary: 'block until the running sidecar is ready (--timeout 60s)',
    load: () => import('./wait.ts'),
  },
  sandbox: {
    summary: 'run a simulator of the Clear API alone',
    ownHelp: true,
    load: () => import('./sandbox.ts'),
  },
  demo: { summary: 'run simulator, sidecar and a few calls to watch', load: () => import('./demo.ts') },
}

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
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined)
      throw new ExitError('usage_invalid', `there is no command ${shown(name)}; see token-sidecar --help`)
    if (command.ownHelp !== true && (args.includes('--help') || args.includes('-h'))) {
      edge.out(await helpText())
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

async function helpText(): Promise<string> {
  const { settingsHelp } = await import('../../config/describe.ts')
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return [
    'token-sidecar [command] [--help] [--version]',
    '',
    'Forwards plain HTTP calls to Clear’s business APIs with a valid access token injected.',
    '',
    'Commands',
    ...lines,
    '',
    'Examples',
    '  CLIENT_SECRET_FILE=/run/secrets/clear UPSTREAM_URL=https://api.clear.in token-sidecar',
    '  token-sidecar wait --timeout 60s && ./my-app',
    '  token-sidecar demo',
    '',
    'Exit codes: 0 done; 64 wrong usage; 69 unavailable; 70 a bug; 78 bad configuration.',
    '',
    settingsHelp(),
  ].join('\n')
}
