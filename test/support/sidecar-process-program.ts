import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Whoever undoes things at the end; node:test's context is one. */
export interface Teardown {
  after(undo: () => Promise<void> | void): void
}

/** How a process ended: one of the two is null. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The built program as a running process. */
export interface Program {
  readonly pid: number
  readonly ended: Promise<Exit>
  /** Everything written so far, at most the last 256 KiB. */
  stdout(): string
  stderr(): string
  signal(name: NodeJS.Signals): void
  /** Stops reading its standard output, so that soon the pipe is full; or reads on. */
  readOutput(goesOn: boolean): void
}

export interface ProgramResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

type Environment = Readonly<Record<string, string>>

const MOST_KEPT_CHARS = 256 * 1024
const PATIENCE_MS = 30_000
/** Another build than the repository's own, such as that of an installed package. */
const main =
  process.env['TOKEN_SIDECAR_MAIN'] ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url))

const running = new Set<ChildProcess>()
// The last resort when the test process itself ends early; orphans would keep ports and CPU.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
// A signal ends a process without 'exit': then this file's children, and those of others, would outlive a run that was given up.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))

/**
 * Starts the program with `env` and nothing else of this process's environment but PATH; the end of the test ends it. `prefix` is
 * a command that becomes the program, in place, such as `unshare`.
 */
export function startProgram(
  teardown: Teardown,
  args: readonly string[],
  env: Environment,
  onLine: (line: string) => void = () => {},
  prefix: readonly string[] = [],
): Program {
  const [command = '', ...rest] = [...prefix, process.execPath, main, ...args]
  const child = spawn(command, rest, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const ended = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    // 'close' comes after the last byte of output, 'exit' may come before it.
    child.once('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal })
    })
  })
  teardown.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const stdout = collect(child.stdout, onLine)
  const stderr = collect(child.stderr, () => {})
  return {
    pid: child.pid ?? 0,
    ended,
    stdout,
    stderr,
    signal: (name) => void child.kill(name),
    readOutput: (goesOn) => void (goesOn ? child.stdout.resume() : child.stdout.pause()),
  }
}

/** Runs the program to its end; kills it, and rejects, when that has not come in 30 s. */
export async function runProgram(
  teardown: Teardown,
  args: readonly string[],
  env: Environment = {},
): Promise<ProgramResult> {
  const program = startProgram(teardown, args, env)
  const timer = setTimeout(() => program.signal('SIGKILL'), PATIENCE_MS)
  const { code, signal } = await program.ended
  clearTimeout(timer)
  if (signal === 'SIGKILL') throw new Error(`${args.join(' ')} has not ended by itself\n${program.stdout()}`)
  return { code, stdout: program.stdout(), stderr: program.stderr() }
}

function collect(stream: NodeJS.ReadableStream, onLine: (line: string) => void): () => string {
  let kept = ''
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    kept = (kept + text).slice(-MOST_KEPT_CHARS)
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
  return () => kept
}
