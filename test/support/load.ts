import { createHash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** One call to make. */
export interface CallPlan {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** Sends the body in chunks of unknown total, so that it cannot be known beforehand whether it can be replayed. */
  readonly chunked?: boolean
  /** What is wrong with the answer, in a few words; null when it is as it should be. By default any status but 200 is wrong. */
  readonly check?: (status: number, body: Buffer) => string | null
}

/** How one call ended. */
export interface Outcome {
  readonly plan: CallPlan
  /** Epoch ms, to compare with the sandbox's log. */
  readonly startedAt: number
  readonly latencyMs: number
  /** Null when there was no answer. */
  readonly status: number | null
  /** Null when all went well; else few different texts, so that they can be counted. */
  readonly failure: string | null
}

/** The longest wait of a scenario is a tenth of it: a call that takes longer was lost by somebody. */
const PATIENCE_MS = 120_000

export interface LoadOptions {
  /** Origins; call n goes to each in turn. */
  readonly urls: readonly string[]
  /** Calls under way at a time. */
  readonly parallel: number
  /** Pause between two calls of one lane. 5 ms: a load that leaves the machine some air. */
  readonly pauseMs?: number
  /** The nth call. By default, `echo(n)`. */
  readonly plan?: (n: number) => CallPlan
  /** In which calls are counted when they end. */
  readonly done: (outcome: Outcome) => void
}

export interface Load {
  /** Begins no further call; resolves when those under way have ended. */
  stop(): Promise<void>
}

/** Calls in as many lanes as asked for, over kept connections, until it is stopped. */
export function startLoad({ urls, parallel, pauseMs = 5, plan = echo, done }: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const end = new AbortController()
  // Every lane waits on it.
  setMaxListeners(0, end.signal)
  let calls = 0
  const lane = async () => {
    while (!end.signal.aborted) {
      const n = calls++
      done(await makeCall(urls[n % urls.length] ?? '', plan(n), agent))
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: end.signal }).catch(() => {})
    }
  }
  const lanes = Promise.all(Array.from({ length: parallel }, lane))
  return {
    async stop() {
      end.abort()
      await lanes
      agent.destroy()
    },
  }
}

/** Makes `count` calls at once, each on a connection of its own. */
export function makeCalls(url: string, count: number, plan: (n: number) => CallPlan = echo) {
  return Promise.all(Array.from({ length: count }, (_, n) => makeCall(url, plan(n), false)))
}

/** Makes one call; never rejects. */
export async function makeCall(url: string, plan: CallPlan, agent: Agent | false): Promise<Outcome> {
  const startedAt = Date.now()
  const began = performance.now()
  const end = (status: number | null, failure: string | null): Outcome => {
    return { plan, startedAt, latencyMs: performance.now() - began, status, failure }
  }
  try {
    const { status, body } = await exchange(url, plan, agent)
    return end(status, (plan.check ?? expectOk)(status, body))
  } catch (error) {
    return end(null, (error as NodeJS.ErrnoException).code ?? String(error))
  }
}

/** A POST with a small body that the sandbox's /echo must report as it was sent, and with a token. */
export function echo(n: number): CallPlan {
  return upload(Buffer.from(`{"invoice":${n}}`))
}

/** A POST of `body` that must arrive unchanged. */
export function upload(body: Buffer, chunked = false): CallPlan {
  const sha256 = createHash('sha256').update(body).digest('hex')
  return {
    method: 'POST',
    path: '/echo',
    body,
    chunked,
    check(status, answer) {
      if (status !== 200) return expectOk(status, answer)
      const arrived = JSON.parse(answer.toString()) as { bodySha256: string }
      return arrived.bodySha256 === sha256 ? null : 'the body was changed on the way'
    },
  }
}

/** Wrong unless the status is 200. Names the sidecar's own problem code where there is one. */
export function expectOk(status: number, body: Buffer): string | null {
  if (status === 200) return null
  const code = /"code":"(\w+)"/.exec(body.toString())?.[1]
  return code === undefined ? `status ${status}` : `status ${status} ${code}`
}

function exchange(
  url: string,
  plan: CallPlan,
  agent: Agent | false,
): Promise<{ status: number; body: Buffer }> {
  const { method, path, headers = {}, body, chunked = false } = plan
  return new Promise((resolve, reject) => {
    const length = body === undefined || chunked ? {} : { 'content-length': String(body.length) }
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const outgoing = request(url + path, { method, agent, signal, headers: { ...headers, ...length } })
    outgoing.once('error', reject)
    outgoing.once('response', (response: IncomingMessage) => {
      const received: Buffer[] = []
      response.on('data', (chunk: Buffer) => received.push(chunk))
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(received) }))
    })
    if (body === undefined || !chunked) return void outgoing.end(body)
    const half = Math.ceil(body.length / 2)
    outgoing.write(body.subarray(0, half))
    outgoing.end(body.subarray(half))
  })
}
