import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { loadConfig } from '../../config/load.ts'
import { startSandbox } from '../../sandbox/server.ts'
import { startApp } from '../app.ts'
import { deadline } from '../lib/abort.ts'
import { systemClock } from '../lib/clock.ts'
import { ExitError } from '../lib/errors.ts'
import type { Log, LogFields } from '../lib/log.ts'
import { cronTicker } from '../lib/ticker.ts'
import type { Edge } from './edge.ts'
import { readOptions } from './options.ts'

const TOKEN_LIFE_MS = 20_000
const CALL_EVERY_MS = 1_000
/** Tokens of 20 seconds would use up the 288 of the real API within the hour. */
const REQUESTS_A_DAY = 100_000
const SECRET = 'demo-secret'

/**
 * Runs the main job for a newcomer to watch: a simulator of the Clear API with tokens of 20 seconds, the sidecar in front
 * of it, and an app that calls without any credential. `--seconds N` ends it by itself.
 */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  const { seconds } = readOptions(args, 'demo')
  const limitMs = seconds === undefined ? null : parseSeconds(seconds)
  const sandbox = await startSandbox({
    clients: [{ name: 'demo', secret: SECRET }],
    tokenLifeMs: TOKEN_LIFE_MS,
    quotaPerDay: REQUESTS_A_DAY,
  })
  const env = {
    CLIENT_SECRET: SECRET,
    UPSTREAM_URL: sandbox.url,
    TOKEN_URL: sandbox.tokenUrl,
    TOKEN_STORE: 'memory:',
    LISTEN: '127.0.0.1:0',
    OPS_LISTEN: '127.0.0.1:0',
    MINT_DAILY_BUDGET: String(REQUESTS_A_DAY),
  }
  const { config } = loadConfig({ env, homeDir: edge.homeDir, readFile: () => '' })
  const app = await startApp({
    config,
    version: edge.version,
    clock: systemClock,
    ticker: cronTicker,
    random: Math.random,
    id: randomUUID(),
    readFile: (path) => readFile(path, 'utf8'),
    runtime: edge.runtime,
    log: narrator(edge),
    quit: () => {},
  })
  const end = limitMs === null ? edge.stopped : deadline(systemClock, limitMs, edge.stopped).signal
  edge.out(introduction(sandbox.url, app.url, app.opsUrl))
  const tally = await callUntil(end, app.url, edge)
  const minted = sandbox.log.events.filter(({ outcome }) => outcome === 'minted').length
  edge.out(`\n${tally.calls} calls, ${tally.failed} failed. Tokens minted by the sandbox: ${minted}.\n`)
  await app.stop()
  await sandbox.close()
  if (tally.failed > 0) throw new ExitError('unavailable', `${tally.failed} of the demo's calls failed`)
}

function introduction(sandboxUrl: string, url: string, opsUrl: string): string {
  return `
The sandbox plays the Clear API at ${sandboxUrl}; its tokens live 20 seconds, and minting one revokes the last.
The sidecar forwards ${url} to it and injects the token. The app below knows that address and nothing else:

  curl ${url}/echo

Status: ${opsUrl}  ·  metrics: ${opsUrl}/metrics  ·  stop with Ctrl-C

`
}

/** Shows the few log events that a newcomer wants to see go by. */
function narrator(edge: Edge): Log {
  const say = (event: string, fields: LogFields = {}) => {
    if (event !== 'token_minted') return
    const why =
      fields['replaced'] === null
        ? 'no token was held'
        : `${fields['reason']}: generation ${fields['replaced']} is revoked`
    edge.out(
      `${time()}  ── minted generation ${fields['generation']}, valid till ${fields['valid_till']} (${why})\n`,
    )
  }
  return { debug() {}, info: say, warn: say, error: say }
}

async function callUntil(
  end: AbortSignal,
  url: string,
  edge: Edge,
): Promise<{ calls: number; failed: number }> {
  const agent = new Agent({ keepAlive: true })
  const invoice = JSON.stringify([
    { transaction: { DocDtls: { Typ: 'INV', No: 'DEMO/001', Dt: '01/04/2026' } } },
  ])
  const calls = [
    { method: 'GET', path: '/echo?hello=world', body: '' },
    { method: 'PUT', path: '/einv/v2/eInvoice/generate?dryRun=true', body: invoice },
    { method: 'GET', path: '/integration/v1/generatePreSign/sales?fileName=sales.csv', body: '' },
  ]
  const tally = { calls: 0, failed: 0 }
  while (!end.aborted) {
    const call = calls[tally.calls % calls.length]
    if (call === undefined) break
    const began = systemClock.monotonic()
    const answer = await send(agent, url, call)
    const took = (systemClock.monotonic() - began).toFixed(1)
    tally.calls++
    if (answer.status >= 400) tally.failed++
    edge.out(
      `${time()}  ${call.method} ${call.path}  →  ${answer.status} in ${took} ms  ${answer.text.slice(0, 60)}\n`,
    )
    await systemClock.sleep(CALL_EVERY_MS, end).catch(() => {})
  }
  agent.destroy()
  return tally
}

interface Call {
  readonly method: string
  readonly path: string
  readonly body: string
}

async function send(
  agent: Agent,
  url: string,
  { method, path, body }: Call,
): Promise<{ status: number; text: string }> {
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    gstin: '29AAFCD5862R000',
  }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(new URL(path, url), { agent, method, headers }, resolve).once('error', reject).end(body)
  })
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return {
    status: response.statusCode ?? 0,
    text: Buffer.concat(chunks).toString('utf8').replaceAll(/\s+/g, ' '),
  }
}

function time(): string {
  return new Date(systemClock.now()).toISOString().slice(11, 19)
}

function parseSeconds(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value <= 0)
    throw new ExitError('usage_invalid', '--seconds must be a whole number')
  return value * 1_000
}
