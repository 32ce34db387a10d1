import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Which processors a process may use. */
export type Place = 'proxy' | 'load'

const canPin = availableParallelism() > 1 && spawnSync('taskset', ['-V']).error === undefined

/** For the report: which processors the two sides run on. */
export const placement = canPin
  ? `proxy pinned to processor 0, upstream and load to ${loadProcessors()}`
  : 'nothing pinned to a processor'

/** A process that the run started, and ends. */
export interface Child {
  readonly pid: number
  /** The end of what it wrote to stderr. */
  errors(): string
  /** Lines of stdout that are there, without waiting. */
  output(): string
  readonly exited: Promise<number | null>
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a program on the processors of its side. taskset becomes the program, so the process id is the program's. */
export function startChild(
  place: Place,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Child {
  const processors = place === 'proxy' ? '0' : loadProcessors()
  const [program, programArgs] = canPin
    ? ['taskset', ['-c', processors, command, ...args]]
    : [command, [...args]]
  const child = spawn(program, programArgs, {
    // Nothing of the surroundings, so that no stray setting (NODE_OPTIONS, proxies) tilts the comparison.
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let errors = ''
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2000)
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-100_000)
  })
  const exited = new Promise<number | null>((resolve) => {
    child.on('close', (code) => resolve(code))
    child.on('error', (error) => {
      errors += error.message
      resolve(null)
    })
  }).finally(() => running.delete(child))
  return {
    pid: child.pid ?? 0,
    errors: () => errors.trim(),
    output: () => output,
    exited,
    async stop() {
      child.kill('SIGTERM')
      const ended = await Promise.race([exited.then(() => true), sleep(5000, false, { ref: false })])
      if (!ended) child.kill('SIGKILL')
      await exited
    },
  }
}

/** Runs a program of the load's side to its end and returns its stdout. Throws when it fails. */
export async function runToEnd(command: string, args: readonly string[]): Promise<string> {
  const child = startChild('load', command, args)
  const code = await child.exited
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${child.errors()}`)
  return child.output()
}

/** Starts a program and waits for its first line of stdout. */
export async function startAndReadLine(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ child: Child; line: string }> {
  const child = startChild('load', command, args, env)
  let over = false
  void child.exited.then(() => {
    over = true
  })
  while (!child.output().includes('\n')) {
    if (over) throw new Error(`${command} ended early: ${child.errors()}`)
    await sleep(5)
  }
  return { child, line: child.output().slice(0, child.output().indexOf('\n')) }
}

function loadProcessors(): string {
  const last = availableParallelism() - 1
  return last <= 1 ? '1' : `1-${last}`
}
