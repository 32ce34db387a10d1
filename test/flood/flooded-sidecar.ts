import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startSandbox } from '../../sandbox/server.ts'
import { type Sidecar, startSidecar } from '../support/sidecar-process.ts'
import type { Teardown } from '../support/sidecar-process-program.ts'
import type { FromAttacker, ToAttacker } from './attacker-messages.ts'
import type { FloodName } from './floods.ts'
import { type MemoryCap, memoryCap } from './memory-cap.ts'

/** As much as the chart gives. In 128 MiB it lives, too, but on a machine too busy to collect garbage in time it was killed. */
export const LIMIT_BYTES = 192 * 1024 * 1024

type Ended = Extract<FromAttacker, { kind: 'ended' }>

/** The built sidecar with a good upstream, a hostile one below `/hostile`, and somebody who floods it. */
export interface FloodedSidecar {
  readonly sidecar: Sidecar
  /** The good upstream, to call it without the sidecar. */
  readonly upstreamUrl: string
  /** Null where none can be made: then only Node's own limit is set. */
  readonly cap: MemoryCap | null
  /** Floods it, with a share of each flood's lanes. */
  begin(floods: readonly FloodName[], share?: number): void
  /** How often each flood went through, and what was wrong. */
  end(): Promise<Pick<Ended, 'counts' | 'faults'>>
  /** What a container is charged for and the system cannot take back: without the program's own pages. */
  memoryBytes(): number
  descriptors(): number
}

/** Starts it as the image does: with its flags, and in a group of `LIMIT_BYTES` where that is possible. */
export async function startFloodedSidecar(teardown: Teardown): Promise<FloodedSidecar> {
  const sandbox = await startSandbox()
  teardown.after(() => sandbox.close())
  const attacker = fork(fileURLToPath(new URL('attacker.ts', import.meta.url)), [], {
    execArgv: ['--import', 'tsx'],
  })
  teardown.after(() => void attacker.kill())
  const next = async () => (await once(attacker, 'message'))[0] as FromAttacker
  const tell = (message: ToAttacker) => attacker.send(message)
  const ready = await next()
  if (ready.kind !== 'ready') throw new Error('the attacker is not ready')

  const cap = memoryCap(teardown, LIMIT_BYTES)
  const env = {
    CLIENT_SECRET: 'demo-secret',
    UPSTREAM_URL: sandbox.url,
    TOKEN_URL: sandbox.tokenUrl,
    ROUTES: 'hostile',
    ROUTE_HOSTILE_PREFIX: '/hostile',
    ROUTE_HOSTILE_UPSTREAM_URL: `http://127.0.0.1:${ready.upstreamPort}`,
    ROUTE_HOSTILE_TOKEN_URL: sandbox.tokenUrl,
    ACCESS_LOG: 'off',
    // As docs/operations.md advises for so small a container.
    REPLAY_MEMORY_LIMIT: '16MiB',
    // A call whose caller left unseen, because nobody reads what it sends, ends by this.
    UPSTREAM_TIMEOUT: '10s',
    ...imageEnvironment(),
    NODE_OPTIONS: imageFlags(cap !== null),
  }
  const sidecar = await startSidecar(teardown, env, cap?.prefix)
  await sidecar.ready()
  const port = Number(new URL(sidecar.url).port)
  return {
    sidecar,
    upstreamUrl: sandbox.url,
    cap,
    begin: (floods, share = 1) => void tell({ kind: 'begin', floods, port, share }),
    async end() {
      const ended = next()
      tell({ kind: 'end' })
      const message = await ended
      if (message.kind !== 'ended') throw new Error('the attacker did not end')
      return message
    },
    memoryBytes() {
      const status = readFileSync(`/proc/${sidecar.pid}/status`, 'utf8')
      return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
    },
    descriptors: () => readdirSync(`/proc/${sidecar.pid}/fd`).length,
  }
}

function imageEnvironment(): Record<string, string> {
  const line = /^ENV (.*)$/m.exec(readFileSync('Dockerfile', 'utf8'))?.[1] ?? ''
  return Object.fromEntries(line.split(' ').map((pair) => pair.split('=', 2)))
}

/** The flags of the image's command. Older lines of Node take the limit as a number only. */
function imageFlags(isCapped: boolean): string {
  const command = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync('Dockerfile', 'utf8'))?.[1] ?? '[]'
  const flags = (JSON.parse(command) as string[]).filter((part) => part.startsWith('--'))
  const share = Number(/--max-old-space-size-percentage=(\d+)/.exec(flags.join(' '))?.[1])
  if (isCapped && process.versions.node.startsWith('24.')) return flags.join(' ')
  return `--max-old-space-size=${Math.floor((LIMIT_BYTES / 1024 / 1024) * (share / 100))}`
}
