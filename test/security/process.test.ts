import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { sandboxFor, send } from '../sandbox/client.ts'
import { eventually, settingsFor } from '../scenarios/setup.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { runProgram } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'

const SECRET = 'demo-secret'
const notLinux = process.platform !== 'linux' && 'only Linux has /proc'

/** A ready sidecar; `shell` is what a shell does before it becomes the sidecar. */
async function sidecarFor(t: TestContext, env: Record<string, string> = {}, shell?: string) {
  const sandbox = await sandboxFor(t)
  const prefix = shell === undefined ? [] : ['sh', '-c', `${shell}; exec "$@"`, 'sh']
  const sidecar = await startSidecar(t, settingsFor(sandbox, env), prefix)
  await sidecar.ready()
  return sidecar
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('the process', { concurrency: 2 }, () => {
  it('opens no inspector at SIGUSR1, and goes on', async (t) => {
    const sidecar = await sidecarFor(t, { NODE_OPTIONS: '--inspect-port=127.0.0.1:0' })
    for (let count = 0; count < 3; count++) sidecar.signal('SIGUSR1')
    // The inspector is opened by a thread of its own, and a call afterwards leaves it time for that.
    assert.equal((await send(`${sidecar.url}/slow?ms=300`)).status, 200)
    assert.doesNotMatch(sidecar.stderr(), /debugger|inspector/i)
    assert.equal(await sidecar.stop(), 0)
  })

  it('leaves its memory out of core dumps', { skip: notLinux }, async (t) => {
    const { pid } = await sidecarFor(t)
    assert.match(readFileSync(`/proc/${pid}/coredump_filter`, 'utf8'), /^0+\n$/)
  })

  const pattern = notLinux || readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim()
  const noCore = pattern !== 'core' && `core dumps do not go to the working directory here, but to ${pattern}`
  it('dies without leaving a secret in a core dump', { skip: noCore }, async (t) => {
    const folder = tempDir()
    const sidecar = await sidecarFor(t, {}, `cd ${folder} && ulimit -c unlimited`)
    sidecar.signal('SIGABRT')
    await sidecar.ended
    const [core] = readdirSync(folder)
    const dump = core === undefined ? Buffer.alloc(0) : readFileSync(join(folder, core))
    t.diagnostic(`${dump.length} bytes of core dump`)
    assert.ok(!dump.includes(SECRET))
  })

  it('makes files and sockets for their owner, and sockets for their group too, whatever the umask', async (t) => {
    const folder = tempDir()
    const at = (name: string) => join(folder, name)
    const env = {
      LISTEN: `unix:${at('calls.sock')}`,
      OPS_LISTEN: `unix:${at('ops.sock')}`,
      TOKEN_STORE: `file:${at('state/tokens.json')}`,
    }
    const sandbox = await sandboxFor(t)
    await startSidecar(t, settingsFor(sandbox, env), ['sh', '-c', 'umask 000; exec "$@"', 'sh'])
    await eventually('a token is stored', () => existsSync(at('state/tokens.json')))
    const modes = ['calls.sock', 'ops.sock', 'state', 'state/tokens.json'].map((name) => modeOf(at(name)))
    assert.deepEqual(modes, ['660', '660', '700', '600'])
    const status = await new Promise((resolve, reject) => {
      const ask = { socketPath: at('calls.sock'), path: '/echo', headers: { host: 'localhost' } }
      get(ask, ({ statusCode }) => resolve(statusCode)).once('error', reject)
    })
    assert.equal(status, 200)
  })
})

describe('the environment', { concurrency: 2 }, () => {
  const SECRETS = {
    CLIENT_SECRET: SECRET,
    CALLER_KEY: 'caller-key-of-the-app-1',
    ROUTES: 'gls',
    ROUTE_GLS_PREFIX: '/gls',
    ROUTE_GLS_CLIENT_SECRET: 'second-client-secret',
    TOKEN_STORE: 'redis://user:password-of-redis@127.0.0.1:1',
  }

  it('holds no secret any more once the settings are read: a diagnostic report shows it', async (t) => {
    const folder = tempDir()
    const sandbox = await sandboxFor(t)
    const report = `--report-on-signal --report-signal=SIGUSR2 --report-directory=${folder}`
    const sidecar = await startSidecar(t, settingsFor(sandbox, { ...SECRETS, NODE_OPTIONS: report }))
    sidecar.signal('SIGUSR2')
    let text = ''
    await eventually('the report is whole', () => {
      text = readdirSync(folder)
        .map((name) => readFileSync(join(folder, name), 'utf8'))
        .join('')
      return text.endsWith('}\n') || text.endsWith('}')
    })
    const { environmentVariables } = JSON.parse(text)
    assert.equal(environmentVariables['UPSTREAM_URL'], sandbox.url)
    for (const name of ['CLIENT_SECRET', 'CALLER_KEY', 'ROUTE_GLS_CLIENT_SECRET', 'TOKEN_STORE'] as const) {
      assert.ok(!(name in environmentVariables), name)
      assert.ok(!text.includes(SECRETS[name]), name)
    }
  })

  it('stays as it was in /proc, which secrets in files do not', { skip: notLinux }, async (t) => {
    const initial = (pid: number) => readFileSync(`/proc/${pid}/environ`, 'latin1')
    const byVariable = await sidecarFor(t)
    assert.ok(initial(byVariable.pid).includes(SECRET), 'SECURITY.md says so')
    const file = join(tempDir(), 'client-secret')
    writeFileSync(file, SECRET)
    const byFile = await sidecarFor(t, { CLIENT_SECRET_FILE: file })
    assert.ok(!initial(byFile.pid).includes(SECRET))
    assert.ok(!readFileSync(`/proc/${byFile.pid}/cmdline`, 'latin1').includes(SECRET))
  })
})

describe('the command line', () => {
  for (const args of [
    ['--client-secret=hunter2-hunter2'],
    ['serve', '--client-secret', 'hunter2-hunter2'],
    ['check', 'hunter2-hunter2'],
    ['CLIENT_SECRET=hunter2-hunter2'],
  ]) {
    it(`takes no secret, and does not repeat one: ${args.join(' ')}`, async (t) => {
      const { code, stdout, stderr } = await runProgram(t, args)
      assert.equal(code, 64)
      assert.doesNotMatch(stdout + stderr, /hunter2/)
    })
  }
})
