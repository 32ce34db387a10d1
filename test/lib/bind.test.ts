import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { bind } from '../../proxy/lib/bind.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'token-sidecar-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

function server(t: TestContext): Server {
  const created = createServer()
  t.after(() => void created.close())
  return created
}

describe('binding an address', () => {
  it('tells the port that was picked', async (t) => {
    assert.match(
      await bind(server(t), { kind: 'tcp', host: '127.0.0.1', port: 0 }),
      /^http:\/\/127\.0\.0\.1:[1-9]\d+$/,
    )
  })

  it('rejects with the system error when the address is in use', async (t) => {
    const url = new URL(await bind(server(t), { kind: 'tcp', host: '127.0.0.1', port: 0 }))
    const again = bind(server(t), { kind: 'tcp', host: '127.0.0.1', port: Number(url.port) })
    await assert.rejects(again, { code: 'EADDRINUSE' })
  })

  it('leaves a socket alone that somebody listens on', async (t) => {
    const path = join(await folder(t), 's.sock')
    await bind(server(t), { kind: 'unix', path })
    await assert.rejects(bind(server(t), { kind: 'unix', path }), { code: 'EADDRINUSE' })
  })

  it('takes over the socket of a process that was killed', async (t) => {
    const path = join(await folder(t), 's.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('listening'))`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(await bind(server(t), { kind: 'unix', path }), `unix:${path}`)
  })

  it('never deletes an ordinary file', async (t) => {
    const path = join(await folder(t), 'precious')
    await writeFile(path, 'content')
    await assert.rejects(bind(server(t), { kind: 'unix', path }), { code: 'EADDRINUSE' })
    assert.equal(await readFile(path, 'utf8'), 'content')
  })
})
