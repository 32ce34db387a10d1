import assert from 'node:assert/strict'
import { once } from 'node:events'
import { link, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { RotateResult } from '../../proxy/ops/admin.ts'
import { createOps, type OpsDeps } from '../../proxy/ops/server.ts'
import { NOW, opsDeps } from './deps.ts'

const MINTED: RotateResult = {
  kind: 'minted',
  credential: 'default',
  generation: 8,
  fingerprint: 'ffeeddcc',
  mintedAt: NOW,
  validTill: null,
}

async function listening(context: TestContext, changes: Partial<OpsDeps> = {}, host = '127.0.0.1') {
  const ops = createOps(opsDeps(changes))
  context.after(() => ops.close())
  return { ops, url: await ops.listen({ kind: 'tcp', host, port: 0 }) }
}

async function socketDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ops-'))
  context.after(() => rm(directory, { recursive: true }))
  return directory
}

/** Status and body of one request through a socket file. */
async function overSocketFile(socketPath: string, method: string, path: string) {
  const sent = request({ socketPath, method, path, headers: { host: 'localhost', 'x-sidecar-request': '1' } })
  sent.end()
  const [response] = await once(sent, 'response')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, body }
}

async function opened(socket: Socket): Promise<Socket> {
  await once(socket, 'connect')
  return socket
}

describe('ops listener', () => {
  it('picks a free port and tells the address', async (context) => {
    const { url } = await listening(context)
    assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
    const response = await fetch(`${url}/livez`)
    assert.deepEqual(await response.json(), { ok: true, reason: null })
  })

  it('rejects with the system error when the address is taken', async (context) => {
    const { url } = await listening(context)
    const second = createOps(opsDeps())
    const port = Number(new URL(url).port)
    await assert.rejects(second.listen({ kind: 'tcp', host: '127.0.0.1', port }), { code: 'EADDRINUSE' })
    await second.close()
  })

  it('lets loopback callers of a listener on all addresses act', async (context) => {
    const { url } = await listening(context, { rotate: async () => MINTED }, '0.0.0.0')
    const { port } = new URL(url)
    const headers = { 'x-sidecar-request': '1' }
    const response = await fetch(`http://127.0.0.1:${port}/rotate`, { method: 'POST', headers })
    assert.equal(response.status, 200)
    assert.equal(((await response.json()) as { valid_till: null }).valid_till, null)
  })

  it('serves a socket file, where callers have no address', async (context) => {
    const path = join(await socketDirectory(context), 'ops.sock')
    const ops = createOps(opsDeps({ rotate: async () => MINTED }))
    context.after(() => ops.close())
    assert.equal(await ops.listen({ kind: 'unix', path }), `unix:${path}`)
    assert.equal((await overSocketFile(path, 'GET', '/readyz')).status, 200)
    assert.equal((await overSocketFile(path, 'POST', '/rotate')).status, 200)
  })

  it('takes over a socket file whose process is gone, but no other file and no living listener', async (context) => {
    const directory = await socketDirectory(context)
    const abandoned = join(directory, 'abandoned.sock')
    const owner = createServer().listen(abandoned)
    await once(owner, 'listening')
    const ops = createOps(opsDeps())
    context.after(() => ops.close())
    const taken = ops.listen({ kind: 'unix', path: abandoned })
    await assert.rejects(taken, { code: 'EADDRINUSE' }).finally(() => leaveBehind(owner, abandoned))
    await ops.listen({ kind: 'unix', path: abandoned })
    assert.equal((await overSocketFile(abandoned, 'GET', '/livez')).status, 200)

    const file = join(directory, 'notes.txt')
    await writeFile(file, 'keep me')
    const other = createOps(opsDeps())
    context.after(() => other.close())
    await assert.rejects(other.listen({ kind: 'unix', path: file }), { code: 'EADDRINUSE' })
    assert.equal((await stat(file)).size, 7)
  })

  it('answers a request under way while it closes, and cuts idle connections', async (context) => {
    let asked = () => {}
    const arrived = new Promise<void>((resolve) => {
      asked = resolve
    })
    let answer: (result: RotateResult) => void = () => {}
    const { ops, url } = await listening(context, {
      rotate: () => {
        asked()
        return new Promise((resolve) => {
          answer = resolve
        })
      },
    })
    const { port } = new URL(url)
    const idle = await opened(connect(Number(port), '127.0.0.1'))
    const idleEnded = once(idle, 'close')
    idle.resume()
    const pending = fetch(`${url}/rotate`, { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    await arrived
    const closed = ops.close()
    answer(MINTED)
    assert.equal((await pending).status, 200)
    await closed
    await idleEnded
    await assert.rejects(opened(connect(Number(port), '127.0.0.1')), { code: 'ECONNREFUSED' })
  })

  it('does not let a request that never ends hold up the end', async (context) => {
    let asked: (signal: AbortSignal) => void = () => {}
    const arrived = new Promise<AbortSignal>((resolve) => {
      asked = resolve
    })
    const { ops, url } = await listening(context, {
      rotate: (_name, signal) => {
        asked(signal)
        return new Promise(() => {})
      },
    })
    const pending = fetch(`${url}/rotate`, { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    const outcome = assert.rejects(pending)
    const left = once(await arrived, 'abort')
    await ops.close()
    await outcome
    await left
  })

  it('closes without having listened, and twice', async () => {
    const ops = createOps(opsDeps())
    await ops.close()
    await ops.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 })
    await Promise.all([ops.close(), ops.close()])
  })

  it('answers malformed HTTP with 400 and lives on', async (context) => {
    const { url } = await listening(context)
    const socket = await opened(connect(Number(new URL(url).port), '127.0.0.1'))
    socket.end('NONSENSE\r\n\r\n')
    let answer = ''
    for await (const chunk of socket) answer += chunk
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.equal((await fetch(`${url}/livez`)).status, 200)
  })
})

/** Ends a listener as a kill would: its file stays. */
async function leaveBehind(owner: ReturnType<typeof createServer>, path: string): Promise<void> {
  const kept = `${path}.kept`
  await link(path, kept)
  await new Promise((resolve) => owner.close(resolve))
  await rename(kept, path)
}
