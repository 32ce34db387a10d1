import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { LogLine } from '../support/sidecar-process.ts'
import type { Exit, Teardown } from '../support/sidecar-process-program.ts'
import type { ImageConfig } from './stand-in-image.ts'

export interface Container {
  /** Its first process, as seen from outside. */
  readonly pid: number
  readonly ended: Promise<Exit>
  logged(event: string): Promise<LogLine>
  /** To its first process, as a kubelet would. */
  signal(name: NodeJS.Signals): void
}

export interface ContainerOptions {
  readonly files: string
  readonly config: Pick<ImageConfig, 'User' | 'Entrypoint' | 'Cmd' | 'Env' | 'WorkingDir'>
  readonly env: Readonly<Record<string, string>>
  /** Folders of this machine at a path of the container, read-only. */
  readonly mounts?: Readonly<Record<string, string>>
}

const PATIENCE_MS = 20_000

/**
 * Runs an image as a restricted pod would: as its numeric user, with a read-only root, no capability, process 1 of its own
 * process namespace, and this machine's network.
 */
export async function startContainer(
  teardown: Teardown,
  { files, config, env, mounts = {} }: ContainerOptions,
): Promise<Container> {
  const [uid, gid] = config.User.split(':') as [string, string]
  const variables = [...config.Env.map((pair) => pair.split(/=(.*)/s)), ...Object.entries(env)]
  const args = [
    ...['--unshare-all', '--share-net', '--die-with-parent', '--as-pid-1', '--cap-drop', 'ALL', '--clearenv'],
    ...['--uid', uid, '--gid', gid, '--ro-bind', files, '/', '--proc', '/proc', '--dev', '/dev'],
    ...Object.entries(mounts).flatMap(([path, folder]) => ['--ro-bind', folder, path]),
    ...variables.flatMap(([name, value]) => ['--setenv', name as string, value as string]),
    ...['--chdir', config.WorkingDir, '--info-fd', '3', ...config.Entrypoint, ...config.Cmd],
  ]
  const child = spawn('bwrap', args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  const [, stdout, stderr, infoPipe] = child.stdio as unknown as [null, Readable, Readable, Readable]
  let complaints = ''
  stderr.on('data', (text) => {
    complaints += text
  })
  const lines: LogLine[] = []
  const output = createInterface(stdout)
  output.on('line', (text) => lines.push(JSON.parse(text) as LogLine))
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit)
  teardown.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const info = await Promise.race([firstText(infoPipe), ended])
  if (typeof info !== 'string') throw new Error(`the container did not start: ${complaints}`)
  const pid = (JSON.parse(info) as { 'child-pid': number })['child-pid']

  return {
    pid,
    ended,
    async logged(event) {
      const overdue = AbortSignal.timeout(PATIENCE_MS)
      for (;;) {
        const found = lines.find((line) => line.event === event)
        if (found !== undefined) return found
        const next = await Promise.race([once(output, 'line', { signal: overdue }), ended])
        if (!Array.isArray(next)) throw new Error(`ended before ${event}: ${complaints}`)
      }
    },
    signal: (name) => void process.kill(pid, name),
  }
}

async function firstText(stream: Readable): Promise<string> {
  const [text] = await once(stream, 'data')
  return String(text)
}
