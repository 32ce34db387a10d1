import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { settings } from '../../config/settings.ts'
import { commands } from '../../proxy/cli/commands.ts'
import { sandboxFor, send } from '../sandbox/client.ts'
import { assertTokenRequests, opsOf, settingsFor } from '../scenarios/setup.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { runProgram, startProgram } from '../support/sidecar-process-program.ts'

/** An address where nobody listens: port 1 needs rights that no test has. */
const nobody = { OPS_LISTEN: '127.0.0.1:1' }

describe('the program', { concurrency: 2 }, () => {
  it('prints every command and every setting for --help, with and without a command', async (test) => {
    const help = await runProgram(test, ['--help'])
    assert.equal(help.code, 0)
    assert.equal(help.stderr, '')
    const words = ['serve', 'check', 'status', 'rotate', 'wait', 'sandbox', 'demo', 'completion']
    for (const word of [...words, ...Object.keys(settings)])
      assert.match(help.stdout, new RegExp(`\\b${word}\\b`))
    assert.equal((await runProgram(test, ['serve', '-h'])).stdout, help.stdout)
  })

  it('prints the version of the package for --version', async (test) => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    assert.deepEqual(await runProgram(test, ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('explains each command by itself, with its options and an example', async (test) => {
    for (const [name, command] of Object.entries(commands)) {
      if (name === 'serve' || name === 'sandbox') continue
      const { code, stdout } = await runProgram(test, [name, '--help'])
      assert.equal(code, 0)
      for (const option of Object.keys(command.options)) assert.ok(stdout.includes(`--${option}`), option)
      for (const [line] of command.examples) assert.ok(stdout.includes(line), line)
      assert.ok(!stdout.includes('UPSTREAM_URL'))
    }
  })

  it('names the command that was probably meant', async (test) => {
    assert.match((await runProgram(test, ['statsu'])).stderr, /did you mean status\?/)
  })

  for (const args of [
    ['severe'],
    ['completion'],
    ['completion', 'tcsh'],
    ['check', '--fast'],
    ['status', 'now'],
    ['--verbose'],
    ['wait', '--timeout', '5'],
  ]) {
    it(`takes "${args.join(' ')}" for wrong usage, exit code 64`, async (test) => {
      const { code, stdout, stderr } = await runProgram(test, args, nobody)
      assert.equal(code, 64)
      assert.equal(stdout, '')
      assert.match(stderr, /^token-sidecar: \S/)
      assert.doesNotMatch(stderr, /\n +at /, 'no stack for a mistake of the person')
    })
  }

  for (const command of ['status', 'rotate']) {
    it(`says with exit code 69 that no sidecar answers ${command}`, async (test) => {
      const { code, stderr } = await runProgram(test, [command], nobody)
      assert.equal(code, 69)
      assert.match(stderr, /no sidecar answers at .*127\.0\.0\.1:1.* \(OPS_LISTEN\): ECONNREFUSED/)
    })
  }

  it('names OPS_LISTEN with exit code 78 when a command cannot read it', async (test) => {
    const { code, stderr } = await runProgram(test, ['status'], { OPS_LISTEN: 'nowhere' })
    assert.equal(code, 78)
    assert.match(stderr, /OPS_LISTEN/)
  })
})

describe('commands for a running sidecar', { concurrency: 2 }, () => {
  it('status prints its state, with --json the document itself', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const people = await runProgram(test, ['status'], opsOf(sidecar))
    assert.equal(people.code, 0)
    assert.match(people.stdout, /^token-sidecar \S+, up \d+ s, ready$/m)
    assert.match(people.stdout, /^credential default: fresh$/m)
    assert.ok(people.stdout.includes(sandbox.issuer.clients()[0]?.liveFingerprint ?? 'none'))
    const { uptime_s: _, ...printed } = JSON.parse(
      (await runProgram(test, ['status', '--json'], opsOf(sidecar))).stdout,
    )
    const { uptime_s: __, ...document } = await sidecar.status()
    assert.deepEqual(printed, document)
  })

  it('rotate has it mint now, and says with 69 why it could not', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    const rotated = await runProgram(test, ['rotate'], opsOf(sidecar))
    assert.equal(rotated.code, 0, rotated.stderr)
    const live = sandbox.issuer.clients()[0]?.liveFingerprint
    assert.match(rotated.stdout, new RegExp(`^minted generation 2, fingerprint ${live}, valid till \\d{4}-`))

    const unknown = await runProgram(test, ['rotate', '--credential', 'nobody'], opsOf(sidecar))
    assert.equal(unknown.code, 69)
    assert.match(unknown.stderr, /credential_unknown/)
    assert.match(unknown.stderr, /There are: default\./)

    sandbox.faults.add({ api: 'token', kind: 'status', status: 401, count: 1 })
    const refused = await runProgram(test, ['rotate'], opsOf(sidecar))
    assert.equal(refused.code, 69)
    assert.match(refused.stderr, /mint_secret_rejected/)
    assert.equal(refused.stderr.match(/^ {2}- /gm)?.length, 4, 'the four causes that one status may have')
    assert.match(refused.stderr, /^ {2}→ /m)
    assertTokenRequests(sandbox, { requests: 3, minted: 2 })
  })

  it('status says what to do about the last error, and no more once that is past', async (test) => {
    const sandbox = await sandboxFor(test)
    sandbox.faults.add({ api: 'token', kind: 'status', status: 401 })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.logged('mint_failed')
    const { stdout } = await runProgram(test, ['status'], opsOf(sidecar))
    assert.match(stdout, /not ready: no usable token/)
    assert.match(stdout, /^credential default: rejected$/m)
    assert.match(stdout, /^ {2}last error +mint_secret_rejected at 20/m)
    assert.equal(stdout.match(/^ {2}- /gm)?.length, 4)
    assert.match(stdout, /docs\/operations\.md#mint_secret_rejected/)
    for (const line of stdout.split('\n').slice(1)) assert.ok(line.length <= 100, line)

    await sandbox.faults.clear()
    assert.equal((await runProgram(test, ['rotate'], opsOf(sidecar))).code, 0)
    const after = await runProgram(test, ['status'], opsOf(sidecar))
    assert.match(after.stdout, /^credential default: fresh$/m)
    assert.doesNotMatch(after.stdout, /→ Compare|operations\.md/)
  })

  it('status says of another program at its address that it is no sidecar', async (test) => {
    const sandbox = await sandboxFor(test)
    const { code, stderr } = await runProgram(test, ['status'], { OPS_LISTEN: new URL(sandbox.url).host })
    assert.equal(code, 69)
    assert.match(stderr, /not as a token-sidecar does/)
  })

  it('rotate says of a token that never expires that it is valid till it is revoked', async (test) => {
    const sandbox = await sandboxFor(test, { tokenLifeMs: null })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    assert.match((await runProgram(test, ['rotate'], opsOf(sidecar))).stdout, /valid till revoked$/m)
  })

  it('wait blocks until it is ready, or says with 69 why it is not', async (test) => {
    const sandbox = await sandboxFor(test, { tokenPort: 0 })
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    const late = await runProgram(test, ['wait', '--timeout', '2s'], opsOf(sidecar))
    assert.equal(late.code, 69)
    assert.match(late.stderr, /not ready within 2s: no usable token for credential default/)
    assert.match(late.stderr, /→ token-sidecar status says what to do/)

    const waiting = runProgram(test, ['wait'], opsOf(sidecar))
    // Whether it polls before or after this does not matter to what it promises.
    await sleep(300)
    await sandbox.faults.clear()
    assert.deepEqual(await waiting, { code: 0, stdout: '', stderr: '' })
    assert.equal((await sidecar.ask('/readyz')).status, 200)
  })

  it('wait outlasts a sidecar that has not started yet', async (test) => {
    const { code, stderr } = await runProgram(test, ['wait', '--timeout', '300ms'], nobody)
    assert.equal(code, 69)
    assert.match(stderr, /not ready within 300ms: no sidecar answers at .*127\.0\.0\.1:1/)
  })
})

describe('programs for trying out', { concurrency: 2 }, () => {
  it('sandbox simulates the API until it is told to stop', async (test) => {
    const { promise: announced, resolve } = withResolvers<string>()
    const args = ['sandbox', '--port', '0', '--token-life', '20s']
    const program = startProgram(test, args, {}, resolve)
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(await announced)?.[0]
    const headers = { 'x-clear-client-secret': 'demo-secret' }
    const minted = await send(`${url}/integration/v1/authz/token`, { headers })
    assert.equal(minted.status, 200)
    program.signal('SIGTERM')
    assert.deepEqual(await program.ended, { code: 0, signal: null })
  })

  it('sandbox explains its own flags, and refuses others with 64', async (test) => {
    assert.match((await runProgram(test, ['sandbox', '--help'])).stdout, /--token-life/)
    assert.equal((await runProgram(test, ['sandbox', '--tokens'])).code, 64)
  })

  it('demo shows calls and a mint, and ends by itself', async (test) => {
    const { code, stdout, stderr } = await runProgram(test, ['demo', '--seconds', '3'])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /minted generation 1/)
    assert.match(stdout, /GET \/echo\?hello=world +→ +200/)
    assert.match(stdout, /^\d+ calls, 0 failed\. Tokens minted by the sandbox: 1\.$/m)
  })

  it('demo ends in order when it is interrupted', async (test) => {
    const { promise: called, resolve } = withResolvers<string>()
    const program = startProgram(test, ['demo'], {}, (line) => {
      if (line.includes('→')) resolve(line)
    })
    await called
    program.signal('SIGINT')
    assert.deepEqual(await program.ended, { code: 0, signal: null })
  })
})

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
