import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { runSandbox } from '../../sandbox/main.ts'
import { send } from './client.ts'

describe('runSandbox', () => {
  it('says in one line where it listens, and ends with the signal', async () => {
    await running(['--port', '0'], {}, async (line, url) => {
      assert.match(
        line,
        /^sandbox: .*client demo with secret demo-secret; tokens live 1h, 288 token requests a day\n$/,
      )
      const headers = { 'x-clear-client-secret': 'demo-secret' }
      assert.equal((await send(`${url}/integration/v1/authz/token`, { headers })).status, 200)
    })
  })

  it('takes several secrets, life and quota, and never prints a secret it was given', async () => {
    const args = [
      '--port=0',
      '--secret',
      'one=aB+/==',
      '--secret',
      'two=x',
      '--token-life=never',
      '--quota=1',
    ]
    await running(args, {}, async (line, url) => {
      assert.match(line, /clients one, two; tokens never expire, 1 token requests a day/)
      assert.ok(!line.includes('aB+/'))
      const ask = (secret: string) =>
        send(`${url}/integration/v1/authz/token`, { headers: { 'x-clear-client-secret': secret } })
      assert.equal((await ask('aB+/==')).json().valid_till, null)
      assert.equal((await ask('aB+/==')).status, 429)
      assert.equal((await ask('x')).status, 200)
      assert.equal((await ask('demo-secret')).status, 401)
    })
  })

  it('reads variables, which a flag overrides', async () => {
    const env = {
      SANDBOX_PORT: '0',
      SANDBOX_TOKEN_LIFE: '20s',
      SANDBOX_QUOTA: '5',
      SANDBOX_SECRETS: ' one=a two=b ',
    }
    await running(['--quota', '6'], env, async (line) => {
      assert.match(line, /clients one, two; tokens live 20s, 6 token requests a day/)
    })
  })

  it('gives the token API and the control endpoint ports of their own', async () => {
    await running(['--port=0', '--token-port=0', '--control-port=0'], {}, async (line) => {
      const ports = [...line.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port)
      assert.equal(new Set(ports).size, 3)
    })
  })

  it('prints its usage for --help', async () => {
    const written: string[] = []
    const stdout = { write: (text: string) => written.push(text) }
    await runSandbox({ args: ['--help'], env: {}, stdout, signal: new AbortController().signal })
    assert.match(written.join(''), /--token-life/)
  })

  const wrong = [
    ['--prot', '1'],
    ['stray'],
    ['--port', 'x'],
    ['--port', '70000'],
    ['--token-life', '20'],
    ['--token-life', '0s'],
    ['--quota', '-1'],
    ['--secret', 'hush'],
    ['--secret', '=hush'],
    ['--secret', 'one=hush', '--secret', 'two=hush'],
  ]
  for (const args of wrong) {
    it(`refuses ${args.join(' ')} as wrong usage`, async () => {
      await assert.rejects(
        runSandbox({ args, env: {}, stdout: mute, signal: AbortSignal.abort() }),
        (error) => {
          assert.ok(error instanceof Error && 'code' in error)
          assert.equal(error.code, 'usage_invalid')
          assert.ok(!error.message.includes('hush') || args.length === 1)
          return true
        },
      )
    })
  }

  it('reports a port that is taken as unavailable', async (test) => {
    const taken = createServer().listen(0, '127.0.0.1')
    test.after(() => taken.close())
    await once(taken, 'listening')
    const args = ['--port', String((taken.address() as AddressInfo).port)]
    const running = runSandbox({ args, env: {}, stdout: mute, signal: AbortSignal.abort() })
    await assert.rejects(running, { name: 'SandboxStartError', code: 'unavailable' })
  })
})

const mute = { write: () => true }

/** Runs the program until `check`, which gets its line and its address, is done. */
async function running(
  args: string[],
  env: Record<string, string>,
  check: (line: string, url: string) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const { promise: line, resolve } = withResolvers<string>()
  const ended = runSandbox({ args, env, stdout: { write: resolve }, signal: stop.signal })
  try {
    const text = await Promise.race([line, ended.then(() => assert.fail('ended without a line'))])
    const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? []
    await check(text, url)
  } finally {
    stop.abort()
    await ended
  }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
