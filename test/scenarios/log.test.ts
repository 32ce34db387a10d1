import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import { sandboxFor } from '../sandbox/client.ts'
import { makeCall, makeCalls, type Outcome } from '../support/load.ts'
import { failuresOf } from '../support/load-record.ts'
import type { LogLine } from '../support/sidecar-process.ts'
import { startProgram } from '../support/sidecar-process-program.ts'
import { eventually, settingsFor } from './setup.ts'

/** Each leaves a line of 2 KiB: together far more than a pipe takes (64 KiB) and than may wait in the process (1 MiB). */
const CALLS = 1_000
const plan = () => ({ method: 'GET', path: `/echo/${'x'.repeat(1_800)}` })

describe('a reader of the log that stops reading', { concurrency: 2 }, () => {
  it('slows no call and takes no memory, and is told what it missed', async (test) => {
    const { program, url, seen } = await startedFor(test)
    const found = (event: string) => seen.find((line) => line.event === event)
    await makeCalls(url, 50, plan)
    program.readOutput(false)
    const before = residentBytes(program.pid)
    const outcomes = await callsInTurn(url)
    assert.deepEqual(failuresOf(outcomes), {})
    const grownMiB = (residentBytes(program.pid) - before) / 1024 / 1024
    assert.ok(grownMiB < 48, `grown by ${grownMiB.toFixed(1)} MiB`)

    program.readOutput(true)
    let more = 0
    await eventually('what was missed', async () => {
      // The report goes with the next line that is taken.
      more += (await makeCalls(url, 1, plan)).length
      return found('log_lines_dropped') !== undefined
    })
    const told = found('log_lines_dropped')
    assert.equal(told?.['help'], 'docs/operations.md#log_lines_dropped')
    program.signal('SIGTERM')
    assert.equal((await program.ended).code, 0)
    const lines = seen.filter(({ event }) => event === 'call').length
    // A reader that has much to catch up with may miss some more.
    const reports = seen.filter(({ event }) => event === 'log_lines_dropped')
    const missed = reports.reduce((sum, report) => sum + Number(report['lines']), 0)
    assert.equal(lines + missed, 50 + CALLS + more)
  })

  it('does not keep the process from ending', async (test) => {
    const { program, url } = await startedFor(test)
    program.readOutput(false)
    await callsInTurn(url)
    program.signal('SIGTERM')
    // Its output has not ended as long as nobody reads it.
    await eventually('the end', () => !isRunning(program.pid))
    program.readOutput(true)
    assert.equal((await program.ended).code, 0)
  })
})

async function startedFor(test: TestContext) {
  const sandbox = await sandboxFor(test)
  const seen: LogLine[] = []
  const env = { LISTEN: '127.0.0.1:0', OPS_LISTEN: '127.0.0.1:0', TOKEN_STORE: 'memory:', ACCESS_LOG: 'all' }
  const program = startProgram(test, ['serve'], settingsFor(sandbox, env), (line) =>
    seen.push(JSON.parse(line) as LogLine),
  )
  await eventually('a token', () => seen.some(({ event }) => event === 'token_minted'))
  return { program, seen, url: String(seen.find(({ event }) => event === 'started')?.['listen']) }
}

async function callsInTurn(url: string): Promise<Outcome[]> {
  const agent = new Agent({ keepAlive: true })
  const outcomes: Outcome[] = []
  while (outcomes.length < CALLS)
    outcomes.push(...(await Promise.all(Array.from({ length: 40 }, () => makeCall(url, plan(), agent)))))
  agent.destroy()
  return outcomes
}

function residentBytes(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
