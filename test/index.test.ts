import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import {
  ConfigError,
  createSandbox,
  createSidecar,
  type Log,
  type Sandbox,
  type SandboxSettings,
} from '../proxy/index.ts'
import { send } from './sandbox/client.ts'

describe('a sidecar in this process', { concurrency: 4 }, () => {
  it('injects the token of a sandbox that it is given the settings of', async (test) => {
    const { sandbox, sidecar } = await pair(test)
    const answer = await send(`${sidecar.url}/echo`)
    assert.equal(answer.status, 200)
    assert.match(answer.json().headers['x-cleartax-auth-token'], /^\*+$/)
    assert.equal((await send(`${sidecar.opsUrl}/readyz`)).status, 200)
    assert.deepEqual(
      sandbox.tokenRequests().map(({ outcome, generation, foreign, inFlight }) => ({
        outcome,
        generation,
        foreign,
        inFlight,
      })),
      [{ outcome: 'minted', generation: 1, foreign: false, inFlight: 1 }],
    )
  })

  it('lives beside another one, whose ports and tokens are its own', async (test) => {
    const pairs = await Promise.all([pair(test), pair(test, { secret: 'another-secret' })])
    for (const { sandbox, sidecar } of pairs) {
      assert.equal((await send(`${sidecar.url}/echo`)).status, 200)
      assert.equal(sandbox.tokenRequests().length, 1)
    }
    assert.notEqual(pairs[0].sidecar.url, pairs[1].sidecar.url)
    assert.notEqual(pairs[0].sidecar.opsUrl, pairs[1].sidecar.opsUrl)
  })

  it('mends a foreign mint, and an outage of the token API, as the program does', async (test) => {
    const { sandbox, sidecar } = await pair(test)
    assert.equal((await send(`${sidecar.url}/echo`)).status, 200)
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    assert.equal((await send(`${sidecar.url}/echo`)).status, 200, 'the living token serves on')
    await sandbox.faults.clear()
    sandbox.foreignMint()
    assert.equal((await send(`${sidecar.url}/echo`)).status, 200)
    assert.equal(sandbox.tokenRequests().at(-1)?.generation, 3)
  })

  it('leaves the process alone', async (test) => {
    const before = surroundings()
    const { sidecar } = await pair(test)
    await send(`${sidecar.url}/echo`)
    assert.deepEqual(surroundings(), before)
    await sidecar.stop()
    assert.deepEqual(surroundings(), before)
  })

  it('ends once, however often it is stopped', async (test) => {
    const { sidecar } = await pair(test)
    await Promise.all([sidecar.stop(), sidecar.stop()])
    await assert.rejects(send(`${sidecar.url}/echo`), { code: 'ECONNREFUSED' })
  })

  it('ends, and the process does not, when POST /quit asks for it', async (test) => {
    const { sidecar, events } = await pair(test)
    await send(`${sidecar.opsUrl}/quit`, { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    await sidecar.stop()
    assert.equal(events.filter((event) => event === 'stopped').length, 1)
  })
})

describe('settings given as an object', () => {
  it('are refused with every problem at once, and never with a secret', async () => {
    const settings = { CLIENT_SECRET: 'a b', UPSTREAM_URL: 'x', HOLD_TIMEOUT: '5' }
    await assert.rejects(createSidecar(settings), (error) => {
      assert.ok(error instanceof ConfigError)
      assert.equal(error.code, 'config_invalid')
      const variables = error.problems.map(({ variable }) => variable)
      assert.deepEqual(variables.sort(), ['CLIENT_SECRET', 'HOLD_TIMEOUT', 'UPSTREAM_URL'])
      assert.ok(!error.message.includes('a b'))
      return true
    })
  })

  it('may be a whole environment, in which what is empty counts as not set', async (test) => {
    const sandbox = await sandboxOf(test)
    const environment: NodeJS.ProcessEnv = {
      ...process.env,
      ...sandbox.settings,
      LISTEN: '',
      OPS_LISTEN: ' ',
    }
    const sidecar = await createSidecar(environment)
    test.after(() => sidecar.stop())
    assert.equal((await send(`${sidecar.url}/echo`)).status, 200)
  })

  it('are warned of in the log when they look misspelled, and by the compiler', async (test) => {
    const sandbox = await sandboxOf(test)
    const warned: unknown[] = []
    const log: Log = {
      debug() {},
      info() {},
      error() {},
      warn: (event, fields) => warned.push([event, fields]),
    }
    // @ts-expect-error There is no such setting.
    const sidecar = await createSidecar({ ...sandbox.settings, HOLD_TIMEOUTS: '5s' }, { log })
    test.after(() => sidecar.stop())
    assert.deepEqual(warned, [
      [
        'config_warning',
        { variable: 'HOLD_TIMEOUTS', message: 'is not a setting: did you mean HOLD_TIMEOUT?' },
      ],
    ])
  })

  it('that name an address in use are refused as unavailable, and nothing is minted', async (test) => {
    const sandbox = await sandboxOf(test)
    const squatter = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve))
    test.after(() => squatter.close())
    const { port } = squatter.address() as { port: number }
    await assert.rejects(createSidecar({ ...sandbox.settings, LISTEN: `127.0.0.1:${port}` }), {
      code: 'unavailable',
      message: /^LISTEN: .*EADDRINUSE/,
    })
    assert.equal(sandbox.tokenRequests().length, 0)
  })
})

async function pair(test: TestContext, settings: SandboxSettings = {}) {
  const sandbox = await sandboxOf(test, settings)
  const events: string[] = []
  const note = (event: string) => void events.push(event)
  const log: Log = { debug: note, info: note, warn: note, error: note }
  const sidecar = await createSidecar(sandbox.settings, { log })
  test.after(() => sidecar.stop())
  return { sandbox, sidecar, events }
}

async function sandboxOf(test: TestContext, settings: SandboxSettings = {}): Promise<Sandbox> {
  const sandbox = await createSandbox(settings)
  test.after(() => sandbox.stop())
  return sandbox
}

/** What an embedded sidecar must not touch. */
function surroundings() {
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const
  const events = ['exit', 'beforeExit', 'uncaughtException', 'unhandledRejection', 'warning']
  return {
    listeners: [...signals, ...events].map((name) => [name, process.listenerCount(name as 'exit')]),
    env: { ...process.env },
    exitCode: process.exitCode,
    title: process.title,
  }
}
