import { parseArgs } from 'node:util'
import { formatDuration, parseDuration } from './duration.ts'
import { DEMO_CLIENT, type Sandbox, type SandboxClient, type SandboxOptions, startSandbox } from './server.ts'

/** What the program is given by whoever starts it. */
export interface SandboxProcess {
  /** Arguments after the command's name. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: { write(text: string): unknown }
  /** Ends the sandbox. */
  readonly signal: AbortSignal
}

/** The sandbox did not start. `code` is stable: wrong usage, or an address that cannot be bound. */
export class SandboxStartError extends Error {
  readonly code: 'usage_invalid' | 'unavailable'

  constructor(code: SandboxStartError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'SandboxStartError'
    this.code = code
  }
}

const usage = `Simulates Clear's API: the token API with its revocation and quota, and sample business APIs.

  --host HOST           address to listen on (127.0.0.1), or SANDBOX_HOST
  --port PORT           port for everything (4010; 0 picks a free one), or SANDBOX_PORT
  --token-port PORT     a separate port for the token API, or SANDBOX_TOKEN_PORT
  --control-port PORT   a separate port for the control endpoint, or SANDBOX_CONTROL_PORT
  --secret NAME=VALUE   an API client, repeatable (${DEMO_CLIENT.name}=${DEMO_CLIENT.secret}); or SANDBOX_SECRETS, separated by spaces
  --token-life LIFE     250ms, 20s, 5m, 12h or never (1h), or SANDBOX_TOKEN_LIFE
  --quota N             requests to the token API per secret and UTC day (288), or SANDBOX_QUOTA
  --help
`

/**
 * Runs the sandbox as a program: says on `stdout` where it listens, and resolves when `signal` aborts and everything is
 * closed. Rejects with `SandboxStartError`.
 */
export async function runSandbox({ args, env, stdout, signal }: SandboxProcess): Promise<void> {
  const flags = readFlags(args)
  if (flags.help === true) return void stdout.write(usage)
  const options = optionsFrom(flags, env)
  const sandbox = await start(options)
  try {
    stdout.write(`${announcement(sandbox, options)}\n`)
    await aborted(signal)
  } finally {
    await sandbox.close()
  }
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        host: { type: 'string' },
        port: { type: 'string' },
        'token-port': { type: 'string' },
        'control-port': { type: 'string' },
        secret: { type: 'string', multiple: true },
        'token-life': { type: 'string' },
        quota: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (cause) {
    throw new SandboxStartError('usage_invalid', (cause as Error).message, cause)
  }
}

/** A flag wins over its variable. */
function optionsFrom(flags: ReturnType<typeof readFlags>, env: SandboxProcess['env']): SandboxOptions {
  const tokenPort = flags['token-port'] ?? env['SANDBOX_TOKEN_PORT']
  const controlPort = flags['control-port'] ?? env['SANDBOX_CONTROL_PORT']
  const life = flags['token-life'] ?? env['SANDBOX_TOKEN_LIFE'] ?? '1h'
  const tokenLifeMs = life === 'never' ? null : parseDuration(life)
  if (tokenLifeMs === undefined) throw invalid('--token-life', 'a duration like 20s, or never')
  const secrets = flags.secret ?? env['SANDBOX_SECRETS']?.split(/\s+/).filter((entry) => entry !== '')
  return {
    host: flags.host ?? env['SANDBOX_HOST'] ?? '127.0.0.1',
    port: wholeNumber('--port', flags.port ?? env['SANDBOX_PORT'] ?? '4010', 65_535),
    ...(tokenPort === undefined ? {} : { tokenPort: wholeNumber('--token-port', tokenPort, 65_535) }),
    ...(controlPort === undefined ? {} : { controlPort: wholeNumber('--control-port', controlPort, 65_535) }),
    quotaPerDay: wholeNumber('--quota', flags.quota ?? env['SANDBOX_QUOTA'] ?? '288', 1_000_000_000),
    tokenLifeMs,
    ...(secrets === undefined ? {} : { clients: distinct(secrets.map(readClient)) }),
  }
}

function readClient(text: string): SandboxClient {
  // Only the first equals sign divides: real secrets end in some.
  const equalsAt = text.indexOf('=')
  if (equalsAt < 1 || equalsAt === text.length - 1) throw invalid('--secret', 'NAME=VALUE')
  return { name: text.slice(0, equalsAt), secret: text.slice(equalsAt + 1) }
}

function distinct(clients: SandboxClient[]): SandboxClient[] {
  const names = new Set(clients.map(({ name }) => name))
  const secrets = new Set(clients.map(({ secret }) => secret))
  if (names.size < clients.length || secrets.size < clients.length) {
    throw invalid('--secret', 'a name and a value that no other client has')
  }
  return clients
}

function wholeNumber(flag: string, text: string, most: number): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > most) throw invalid(flag, `a whole number up to ${most}`)
  return Number(text)
}

/** Never repeats the value, which may be a secret. */
function invalid(flag: string, should: string): SandboxStartError {
  return new SandboxStartError('usage_invalid', `${flag}: should be ${should}`)
}

async function start(options: SandboxOptions): Promise<Sandbox> {
  try {
    return await startSandbox(options)
  } catch (cause) {
    throw new SandboxStartError('unavailable', `cannot listen: ${(cause as Error).message}`, cause)
  }
}

function announcement(sandbox: Sandbox, { clients, quotaPerDay, tokenLifeMs }: SandboxOptions): string {
  // Only the built-in demo secret is printed; one that was given may be real.
  const who =
    clients === undefined
      ? `client ${DEMO_CLIENT.name} with secret ${DEMO_CLIENT.secret}`
      : `clients ${clients.map(({ name }) => name).join(', ')}`
  const life = tokenLifeMs == null ? 'never expire' : `live ${formatDuration(tokenLifeMs)}`
  return (
    `sandbox: business APIs ${sandbox.url}, token API ${sandbox.tokenUrl}, control ${sandbox.controlUrl}state; ` +
    `${who}; tokens ${life}, ${quotaPerDay} token requests a day`
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
