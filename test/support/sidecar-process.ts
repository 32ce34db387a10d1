import { join } from 'node:path'
import type { StatusDocument } from '../../proxy/ops/status.ts'
import { parseExposition } from '../ops/exposition-parser.ts'
import { type Answer, type Sending, send } from '../sandbox/client.ts'
import { type Exit, type Program, startProgram, type Teardown } from './sidecar-process-program.ts'
import { tempDir } from './temp-dir.ts'

/** One line of the sidecar's log. */
export interface LogLine {
  readonly time: string
  readonly level: string
  readonly event: string
  readonly [field: string]: unknown
}

/** The built sidecar as a process of its own. */
export interface Sidecar {
  /** Where callers reach it; `http://127.0.0.1:PORT`, or as `LISTEN` says. */
  readonly url: string
  readonly opsUrl: string
  readonly pid: number
  readonly ended: Promise<Exit>
  /** The log so far, at most the last 10,000 lines. */
  readonly log: readonly LogLine[]
  /** The first line of an event that fits, past or to come. Rejects when the process ends, or after 20 s. */
  logged(event: string, fits?: (line: LogLine) => boolean): Promise<LogLine>
  /** What was logged under the event so far. */
  lines(event: string): LogLine[]
  /** Rejects when no answer comes in a minute. */
  ask(path: string, sending?: Sending): Promise<Answer>
  status(): Promise<StatusDocument>
  /** Sum of a metric's samples that have these labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /** Resolves when /readyz says so. */
  ready(): Promise<void>
  stderr(): string
  signal(name: NodeJS.Signals): void
  /** Ends it in order; resolves to the exit code. */
  stop(name?: NodeJS.Signals): Promise<number | null>
  /** Ends it as a crash would. */
  kill(): Promise<void>
}

/** More helps where sixteen replicas start on a machine that has other things to do. */
const PATIENCE_MS = Number(process.env['PATIENCE_MS'] ?? 20_000)
/** A rotation may have to wait for two leases. */
const ANSWER_MS = 60_000
const POLL_MS = 20
const MOST_LINES = 10_000

/** Starts `node dist/main.js` on free ports, with a token store of its own unless `env` names one, and waits until it listens. */
export async function startSidecar(
  teardown: Teardown,
  env: Readonly<Record<string, string>>,
  prefix: readonly string[] = [],
): Promise<Sidecar> {
  const store = env['TOKEN_STORE'] ?? `file:${join(tempDir(), 'tokens.json')}`
  const log: LogLine[] = []
  const watchers = new Set<() => void>()
  const program = startProgram(
    teardown,
    ['serve'],
    { LISTEN: '127.0.0.1:0', OPS_LISTEN: '127.0.0.1:0', ...env, TOKEN_STORE: store },
    (text) => {
      if (log.length >= MOST_LINES) log.splice(0, MOST_LINES / 2)
      log.push(JSON.parse(text) as LogLine)
      for (const watcher of [...watchers]) watcher()
    },
    prefix,
  )
  const logged: Sidecar['logged'] = (event, fits = () => true) =>
    within(`the log line ${event}`, program, (resolve) => {
      const look = () => {
        const found = log.find((line) => line.event === event && fits(line))
        if (found === undefined) return
        watchers.delete(look)
        resolve(found)
      }
      watchers.add(look)
      look()
    })
  const started = await logged('started')
  const opsUrl = String(started['ops'])
  const ask: Sidecar['ask'] = (path, sending) =>
    send(opsUrl + path, { signal: AbortSignal.timeout(ANSWER_MS), ...sending })

  return {
    url: String(started['listen']),
    opsUrl,
    pid: program.pid,
    ended: program.ended,
    log,
    logged,
    lines: (event) => log.filter((line) => line.event === event),
    ask,
    status: async () => (await ask('/status')).json(),
    async metric(name, labels = {}) {
      const families = [...parseExposition((await ask('/metrics')).text).values()]
      const samples = families.flatMap((family) => family.samples).filter((sample) => sample.name === name)
      if (samples.length === 0) throw new Error(`no metric ${name}`)
      return samples
        .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
        .reduce((sum, { value }) => sum + value, 0)
    },
    ready: () =>
      within('readiness', program, (resolve) => {
        const poll = async () => {
          const answer = await ask('/readyz').catch(() => null)
          if (answer?.status === 200) resolve()
          else timer = setTimeout(poll, POLL_MS)
        }
        let timer = setTimeout(poll, 0)
        return () => clearTimeout(timer)
      }),
    stderr: program.stderr,
    signal: program.signal,
    async stop(name = 'SIGTERM') {
      program.signal(name)
      return (await program.ended).code
    },
    async kill() {
      program.signal('SIGKILL')
      await program.ended
    },
  }
}

/** `wait` gets what resolves; it may return what ends it. */
function within<T>(
  what: string,
  program: Program,
  // biome-ignore lint/suspicious/noConfusingVoidType: most waits leave nothing behind
  wait: (resolve: (value: T) => void) => (() => void) | void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let end: (() => void) | undefined
    const settle = (run: () => void) => {
      clearTimeout(timer)
      end?.()
      run()
    }
    const fail = (why: string) =>
      settle(() =>
        reject(
          new Error(`${what} did not come: ${why}\n${program.stdout().slice(-4_000)}\n${program.stderr()}`),
        ),
      )
    const timer = setTimeout(() => fail(`${PATIENCE_MS / 1_000} s have passed`), PATIENCE_MS)
    void program.ended.then(({ code, signal }) => fail(`the process ended (${code ?? signal})`))
    end = wait((value) => settle(() => resolve(value))) ?? undefined
  })
}
