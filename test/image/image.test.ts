import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { sandboxFor, send } from '../sandbox/client.ts'
import { echo, makeCall } from '../support/load.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startContainer } from './container.ts'
import { buildSkip, type ImageConfig, StandInImage } from './stand-in-image.ts'

describe('the image, built and run without a container engine', { skip: buildSkip }, () => {
  let files: string
  let config: ImageConfig
  let image: StandInImage
  let id: string

  before(() => {
    image = new StandInImage(tempDir())
    id = image.build('localhost/token-sidecar')
    config = image.config('localhost/token-sidecar')
    files = image.unpack('localhost/token-sidecar')
  })

  it('contains the built program, and nothing of what built it', (test) => {
    const names = listing(join(files, 'app')).map((path) => path.slice(files.length))
    assert.ok(names.includes('/app/main.js'))
    assert.ok(names.includes('/app/LICENSE'))
    for (const name of names) assert.match(name, /^\/app\/([\w.-]+|chunks\/[\w.-]+)$/)
    const bytes = names.reduce((sum, name) => sum + statSync(join(files, name)).size, 0)
    test.diagnostic(`/app: ${names.length} files, ${Math.round(bytes / 1024)} KiB`)
    assert.ok(bytes < 3 * 1024 * 1024, `${bytes} bytes`)
  })

  it('is described by its labels', () => {
    const { version, repository } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      version: string
      repository: { url: string }
    }
    assert.equal(config.Labels['org.opencontainers.image.version'], version)
    assert.equal(`git+${config.Labels['org.opencontainers.image.source']}.git`, repository.url)
    assert.equal(config.Labels['org.opencontainers.image.title'], 'token-sidecar')
    assert.deepEqual(Object.keys(config.ExposedPorts), ['8080/tcp', '9464/tcp'])
  })

  it('serves with a read-only root, no capability and a user that no file knows, and drains at SIGTERM', async (test) => {
    const sandbox = await sandboxFor(test)
    const secrets = tempDir()
    writeFileSync(join(secrets, 'client-secret'), 'demo-secret\n')
    const begun = performance.now()
    const container = await startContainer(test, {
      files,
      config,
      mounts: { '/tmp': secrets },
      env: {
        CLIENT_SECRET_FILE: '/tmp/client-secret',
        UPSTREAM_URL: sandbox.url,
        TOKEN_URL: sandbox.tokenUrl,
        TOKEN_STORE: 'memory:',
        LISTEN: '127.0.0.1:0',
        OPS_LISTEN: '127.0.0.1:0',
      },
    })
    const started = await container.logged('started')
    const ops = String(started['ops'])
    while ((await send(`${ops}/readyz`)).status !== 200);
    test.diagnostic(`ready ${Math.round(performance.now() - begun)} ms after the container was started`)

    const proc = (name: string) => readFileSync(`/proc/${container.pid}/${name}`, 'utf8')
    assert.match(proc('uid_map'), /^\s*65532 /)
    assert.match(proc('status'), /^CapEff:\t0+$/m)
    const resident = Number(/^VmRSS:\s+(\d+)/m.exec(proc('status'))?.[1])
    test.diagnostic(`resident ${Math.round(resident / 1024)} MiB, ready and idle`)

    const url = String(started['listen'])
    assert.equal((await makeCall(url, echo(1), false)).failure, null)
    const slow = makeCall(url, { method: 'GET', path: '/slow?ms=500' }, false)
    while (!(await send(`${ops}/metrics`)).text.includes('token_sidecar_requests_in_flight 1\n'));
    container.signal('SIGTERM')
    assert.equal((await slow).failure, null)
    assert.deepEqual(await container.ended, { code: 0, signal: null })
  })

  it('is the same image when it is built again', () => {
    assert.equal(image.build('localhost/again'), id)
  })
})

function listing(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? listing(path) : [path]
  })
}
