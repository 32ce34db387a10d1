import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { startSandbox } from '../../sandbox/server.ts'
import { begin, call, mint, sandboxFor, send, tokenFrom } from './client.ts'
import { FakeClock } from './fake-clock.ts'
import { testTls } from './tls-fixture.ts'

describe('startSandbox', () => {
  it('runs several sandboxes side by side, none accepting tokens of another', async (test) => {
    const [one, two] = [await sandboxFor(test), await sandboxFor(test)]
    assert.equal((await call(two, '/echo', await tokenFrom(one))).status, 401)
  })

  it('serves HTTPS, and resets and shuts it like HTTP', async (test) => {
    const sandbox = await sandboxFor(test, { tls: testTls })
    const agent = new Agent({ ca: testTls.cert })
    const ask = async () => {
      const headers = { 'x-clear-client-secret': 'demo-secret' }
      const [res] = await once(request(sandbox.tokenUrl, { agent, headers }).end(), 'response')
      res.resume()
      return res.statusCode
    }
    assert.match(sandbox.url, /^https:/)
    assert.equal(await ask(), 200)
    sandbox.faults.add({ api: 'token', kind: 'reset', count: 1 })
    await assert.rejects(ask(), { code: 'ECONNRESET' })
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    await assert.rejects(ask(), { code: 'ECONNREFUSED' })
    await sandbox.faults.clear()
    assert.equal(await ask(), 200)
  })

  it('ends hanging requests, idle connections and waiting timers on close', async () => {
    const clock = new FakeClock('2026-03-01T10:00:00Z')
    const sandbox = await startSandbox({ clock })
    sandbox.faults.add({ api: 'token', kind: 'slow', ms: 1000 })
    const req = begin(sandbox.tokenUrl).end()
    const cut = assert.rejects(once(req, 'response'), { code: 'ECONNRESET' })
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    await sandbox.close()
    await cut
    assert.equal(clock.pending, 0)
    await assert.rejects(send(`${sandbox.url}/echo`), { code: 'ECONNREFUSED' })
  })

  it('stays shut when it is closed while a refusal is under way', async () => {
    const sandbox = await startSandbox()
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    const opened = sandbox.faults.clear()
    await sandbox.close()
    await opened
    await assert.rejects(mint(sandbox), { code: 'ECONNREFUSED' })
  })

  it('waits for its port to be free again when somebody took it during a refusal', async (test) => {
    const sandbox = await sandboxFor(test, { tokenPort: 0 })
    const port = Number(new URL(sandbox.tokenUrl).port)
    sandbox.faults.add({ api: 'token', kind: 'refuse' })
    const squatter = createServer().listen(port, '127.0.0.1')
    await once(squatter, 'listening')
    const opened = sandbox.faults.clear()
    squatter.close()
    await opened
    assert.equal((await mint(sandbox)).status, 200)
  })

  it('rejects with the system error, and leaves nothing open, when one of its ports is taken', async (test) => {
    const taken = createServer().listen(0, '127.0.0.1')
    test.after(() => taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    await assert.rejects(startSandbox({ tokenPort: port }), { code: 'EADDRINUSE' })
  })
})
