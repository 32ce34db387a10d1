import { ExitError } from '../lib/errors.ts'
import { type Command, commands } from './commands.ts'
import type { Edge } from './edge.ts'

/** Prints a script that completes commands and options in a shell, made of the table that `--help` is made of. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const [shell, ...more] = args
  const script = shell !== undefined && Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined || more.length > 0)
    throw new ExitError('usage_invalid', 'say which shell: token-sidecar completion bash|zsh|fish')
  edge.out(script())
}

const scripts: Readonly<Record<string, () => string>> = { bash, zsh, fish }

const table: readonly (readonly [string, Command])[] = Object.entries(commands)
const GENERAL = [
  ['help', 'explain'],
  ['version', 'print the version'],
] as const

/** The options of a command, then those that every one has. */
function optionsOf({ options }: Command): (readonly [name: string, about: string, takesValue: boolean])[] {
  return [
    ...Object.entries(options).map(([name, { about, type }]) => [name, about, type === 'string'] as const),
    ...GENERAL.map(([name, about]) => [name, about, false] as const),
  ]
}

function bash(): string {
  const cases = table.map(([name, command]) => {
    const words = [...(command.words ?? []), ...optionsOf(command).map(([option]) => `--${option}`)]
    return `    ${name}) words='${words.join(' ')}' ;;`
  })
  const valued = [...new Set(table.flatMap(([, command]) => optionsOf(command)).filter(([, , v]) => v))]
  return `# bash completion of token-sidecar: source <(token-sidecar completion bash)
_token_sidecar() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words
  COMPREPLY=()
  case "$previous" in
    ${[...new Set(valued.map(([name]) => `--${name}`))].join('|')}) return ;;
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='--help --version' ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words='${table.map(([name]) => name).join(' ')} --help --version'; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _token_sidecar token-sidecar
`
}

function zsh(): string {
  const described = table.map(([name, { summary }]) => `    ${quoted(`${name}:${summary}`)}`)
  const cases = table.map(([name, command]) => {
    const options = optionsOf(command).map(
      ([option, about, takesValue]) =>
        `      ${quoted(`--${option}[${about.replaceAll(/[[\]:]/g, ' ')}]${takesValue ? ':value:' : ''}`)}`,
    )
    const words =
      command.words === undefined ? [] : [`      ${quoted(`1:shell:(${command.words.join(' ')})`)}`]
    return `    ${name}) _arguments \\\n${[...options, ...words].join(' \\\n')} ;;`
  })
  return `#compdef token-sidecar
# zsh completion of token-sidecar
_token_sidecar() {
  local -a commands
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    _arguments '--help[explain]' '--version[print the version]'
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _token_sidecar ]; then _token_sidecar "$@"; else compdef _token_sidecar token-sidecar; fi
`
}

function fish(): string {
  const lines = table.flatMap(([name, command]) => {
    const at = `-n '__fish_seen_subcommand_from ${name}'`
    return [
      `complete -c token-sidecar -n __fish_use_subcommand -a ${name} -d ${quoted(command.summary)}`,
      ...(command.words ?? []).map((word) => `complete -c token-sidecar ${at} -a ${word}`),
      ...Object.entries(command.options).map(
        ([option, { about, type }]) =>
          `complete -c token-sidecar ${at} -l ${option}${type === 'string' ? ' -x' : ''} -d ${quoted(about)}`,
      ),
    ]
  })
  const general = GENERAL.map(([name, about]) => `complete -c token-sidecar -l ${name} -d ${quoted(about)}`)
  return `# fish completion of token-sidecar\ncomplete -c token-sidecar -f\n${[...lines, ...general].join('\n')}\n`
}

/** As one word of any of the shells. */
const quoted = (text: string) => `'${text.replaceAll("'", '’')}'`
