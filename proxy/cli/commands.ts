import type { Edge } from './edge.ts'

/** One option of a command, in the form `parseArgs` takes, with what help and completion say of it. */
export interface CliOption {
  readonly type: 'boolean' | 'string'
  readonly default?: boolean | string
  readonly multiple?: boolean
  readonly about: string
  /** What stands for the value in help. */
  readonly value?: string
}

/** One command of the program. */
export interface Command {
  readonly summary: string
  readonly options: Readonly<Record<string, CliOption>>
  /** What may follow the command, if anything may: one of these words. */
  readonly words?: readonly string[]
  readonly examples: readonly (readonly [line: string, about: string])[]
  /** Sentences for its own help. */
  readonly more?: string
  /** It explains its options itself. */
  readonly ownHelp?: true
  /** Loaded when it is called for, so that none pays for the others. */
  readonly load: () => Promise<{ run(edge: Edge, args: readonly string[]): Promise<void> }>
}

const json = { type: 'boolean', default: false, about: 'print JSON, for programs' } as const

/** THE table of commands, in the order of `--help`: help, parsing and completion are made of it. */
export const commands = {
  serve: {
    summary: 'run the sidecar (the default)',
    options: {},
    more: 'Runs until SIGTERM, SIGINT or POST /quit, and first finishes the calls under way.',
    examples: [
      [
        'CLIENT_SECRET_FILE=/run/secrets/clear UPSTREAM_URL=https://api.clear.in token-sidecar',
        'the minimum',
      ],
    ],
    load: () => import('./serve.ts'),
  },
  check: {
    summary: 'check everything the sidecar needs, and say what to do; never mints',
    options: {
      'config-only': { type: 'boolean', default: false, about: 'only the settings: no store, no network' },
      json,
    },
    more:
      'Checks settings, secret file, store, listening addresses, names, connections, certificates and clocks. ' +
      'Exits with 0 if there are only warnings, 69 if something fails, 78 if a setting is wrong.',
    examples: [
      ['token-sidecar check', 'with the environment of the sidecar'],
      ['kubectl exec POD -c token-sidecar -- /nodejs/bin/node /app/main.js check', 'in its container'],
      ['token-sidecar check --config-only', 'in a pipeline'],
    ],
    load: () => import('./check.ts'),
  },
  status: {
    summary: 'print the state of the running sidecar',
    options: { json },
    more: 'Asks the sidecar at OPS_LISTEN. Exits with 69 when none answers there.',
    examples: [
      ['token-sidecar status', 'what token it holds, and what to do about its last error'],
      ["token-sidecar status --json | jq '.credentials[0].state'", 'for a script'],
    ],
    load: () => import('./status.ts'),
  },
  rotate: {
    summary: 'have the running sidecar mint a new token now',
    options: {
      credential: {
        type: 'string',
        value: 'NAME',
        about: 'which one, when there are several; status lists them',
      },
    },
    more: 'This revokes the token in use; calls under way are resent with the new one. Exits with 69 when no new token was minted.',
    examples: [['token-sidecar rotate --credential gls', 'one of several']],
    load: () => import('./rotate.ts'),
  },
  wait: {
    summary: 'block until the running sidecar is ready',
    options: {
      timeout: {
        type: 'string',
        default: '60s',
        value: 'TIME',
        about: 'give up after this time, with 69 (60s)',
      },
    },
    examples: [['token-sidecar wait --timeout 60s && exec ./my-app', 'start an app when calls will succeed']],
    load: () => import('./wait.ts'),
  },
  sandbox: {
    summary: 'run a simulator of the Clear API alone',
    options: {
      host: { type: 'string', value: 'HOST', about: 'address to listen on' },
      port: { type: 'string', value: 'PORT', about: 'port of everything' },
      'token-port': { type: 'string', value: 'PORT', about: 'a separate port for the token API' },
      'control-port': { type: 'string', value: 'PORT', about: 'a separate port for the control endpoint' },
      secret: { type: 'string', multiple: true, value: 'NAME=VALUE', about: 'an API client' },
      'token-life': { type: 'string', value: 'LIFE', about: '20s, 5m, 12h or never' },
      quota: { type: 'string', value: 'N', about: 'requests to the token API a day' },
    },
    examples: [],
    ownHelp: true,
    load: () => import('./sandbox.ts'),
  },
  demo: {
    summary: 'run simulator, sidecar and a few calls to watch',
    options: {
      seconds: { type: 'string', value: 'N', about: 'stop after that many seconds' },
    },
    examples: [['token-sidecar demo', 'needs nothing, no secret and no network; stop it with Ctrl-C']],
    load: () => import('./demo.ts'),
  },
  completion: {
    summary: 'print a completion script for bash, zsh or fish',
    options: {},
    words: ['bash', 'zsh', 'fish'],
    examples: [
      ['source <(token-sidecar completion bash)', 'for this shell; put it into ~/.bashrc to keep it'],
      ['token-sidecar completion zsh > /usr/local/share/zsh/site-functions/_token-sidecar', ''],
      ['token-sidecar completion fish > ~/.config/fish/completions/token-sidecar.fish', ''],
    ],
    load: () => import('./completion.ts'),
  },
} as const satisfies Readonly<Record<string, Command>>

export type CommandName = keyof typeof commands

/** The command of that name, if there is one. */
export function commandNamed(name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name as CommandName] : undefined
}
