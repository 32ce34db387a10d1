import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { sandboxFor, send } from '../sandbox/client.ts'
import { makeCalls } from '../support/load.ts'
import { assertAllWell, failuresOf } from '../support/load-record.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { runProgram } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'
import { assertOneAtATime, assertTokenRequests, eventually, settingsFor, tokenRequests } from './setup.ts'

describe('the configuration of a process', { concurrency: 2 }, () => {
  it('is refused with exit code 78 and every problem at once, but never a secret', async (test) => {
    const env = {
      CLIENT_SECRET: 'never show this',
      UPSTREAM_URL: 'ftp://api.clear.in',
      TOKEN_HEADER: 'not a header',
      LISTEN: '0.0.0.0:8080',
      MINT_TIMEOUT: '5',
      MINT_DAILY_BUDGET: 'many',
      MASK_TOKEN: 'yes',
      ROUTES: 'gls',
      UPSTREM_URL: 'https://api.clear.in',
    }
    const { code, stdout, stderr } = await runProgram(test, [], env)
    assert.equal(code, 78)
    assert.equal(stdout, '')
    for (const name of [...Object.keys(env), 'CALLER_KEY', 'ROUTE_GLS_PREFIX']) {
      // These two are sound; what follows from them is missing.
      if (name !== 'ROUTES' && name !== 'LISTEN') assert.match(stderr, new RegExp(`^ +${name} `, 'm'))
    }
    assert.match(stderr, /CLIENT_SECRET must hold visible ASCII only/)
    assert.ok(!stderr.includes('never show this'))
  })

  it('says that neither secret nor upstream is set when nothing is', async (test) => {
    const { code, stderr } = await runProgram(test, [])
    assert.equal(code, 78)
    assert.match(stderr, /CLIENT_SECRET/)
    assert.match(stderr, /UPSTREAM_URL/)
  })

  for (const variable of ['LISTEN', 'OPS_LISTEN']) {
    it(`ends with exit code 69 when the address of ${variable} is taken, without a mint`, async (test) => {
      const taken = createServer().listen(0, '127.0.0.1')
      test.after(() => void taken.close())
      await once(taken, 'listening')
      const sandbox = await sandboxFor(test)
      const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`
      const env = {
        LISTEN: '127.0.0.1:0',
        OPS_LISTEN: '127.0.0.1:0',
        TOKEN_STORE: 'memory:',
        [variable]: address,
      }
      const { code, stderr } = await runProgram(test, ['serve'], settingsFor(sandbox, env))
      assert.equal(code, 69)
      assert.match(
        stderr,
        new RegExp(`^token-sidecar: ${variable}: .*${address} cannot be bound \\(EADDRINUSE\\)`),
      )
      assertTokenRequests(sandbox, { requests: 0, minted: 0 })
    })
  }

  it('asks callers for CALLER_KEY, takes either of two, and sends none on', async (test) => {
    const sandbox = await sandboxFor(test)
    const [old, next] = ['the-old-caller-key-1', 'the-next-caller-key-2']
    const env = { LISTEN: '0.0.0.0:0', CALLER_KEY: `${old},${next}` }
    const sidecar = await startSidecar(test, settingsFor(sandbox, env))
    const url = `http://127.0.0.1:${new URL(sidecar.url).port}/echo`
    for (const headers of [{}, { 'x-sidecar-key': 'the-wrong-caller-key' }]) {
      const refused = await send(url, { headers })
      assert.equal(refused.status, 403)
      assert.equal(refused.json().code, 'request_forbidden')
    }
    for (const key of [old, next]) {
      const answer = await send(url, { headers: { 'x-sidecar-key': key } })
      assert.equal(answer.status, 200)
      assert.equal(answer.json().headers['x-sidecar-key'], undefined)
      assert.ok(!answer.text.includes(key))
    }
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('gives each route its own upstream and credential, and the trouble of one does not touch the other', async (test) => {
    const clients = [
      { name: 'india', secret: 'india-secret' },
      { name: 'ksa', secret: 'ksa-secret' },
    ]
    const sandbox = await sandboxFor(test, { clients })
    sandbox.faults.add({ api: 'token', kind: 'status', status: 500, client: 'ksa' })
    const env = {
      CLIENT_SECRET: 'india-secret',
      HOLD_TIMEOUT: '2s',
      ROUTES: 'ksa',
      ROUTE_KSA_PREFIX: '/ksa',
      ROUTE_KSA_UPSTREAM_URL: `${sandbox.url}/middle-east/ksa/einvoicing`,
      ROUTE_KSA_CLIENT_SECRET: 'ksa-secret',
    }
    const sidecar = await startSidecar(test, settingsFor(sandbox, env))
    await sidecar.logged('token_minted')
    assertAllWell(await makeCalls(sidecar.url, 5))
    const failed = await makeCalls(`${sidecar.url}/ksa`, 3)
    assert.deepEqual(failuresOf(failed), { 'status 503 token_unavailable': 3 })
    assert.match((await sidecar.ask('/readyz')).json().reason, /^no usable token for credential ksa: /)
    assertAllWell(await makeCalls(sidecar.url, 5))

    await sandbox.faults.clear()
    await sidecar.ready()
    const answer = await send(`${sidecar.url}/ksa/echo?x=1`)
    assert.equal(answer.json().url, '/middle-east/ksa/einvoicing/echo?x=1')
    assert.equal(tokenRequests(sandbox, 'india').length, 1)
    assert.ok(tokenRequests(sandbox, 'ksa').length <= 4)
    assertOneAtATime(sandbox)
    await eventually('both are at rest', async () => {
      return (await sidecar.status()).credentials.every(({ state }) => state === 'fresh')
    })
    const { routes } = await sidecar.status()
    assert.deepEqual(routes.map(({ prefix }) => prefix).sort(), ['/', '/ksa'])
  })

  it('lets callers come over a unix socket, which is gone afterwards', async (test) => {
    const sandbox = await sandboxFor(test)
    const path = join(tempDir(), 'callers.sock')
    const sidecar = await startSidecar(test, settingsFor(sandbox, { LISTEN: `unix:${path}` }))
    const call = () => overSocket(path, '/echo')
    assert.equal((await call()).status, 200)
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
    assert.equal(await sidecar.stop(), 0)
    await assert.rejects(call(), { code: 'ENOENT' })

    // A socket that a killed process left behind is no obstacle.
    const killed = await startSidecar(test, settingsFor(sandbox, { LISTEN: `unix:${path}` }))
    await killed.kill()
    await startSidecar(test, settingsFor(sandbox, { LISTEN: `unix:${path}` }))
    assert.equal((await call()).status, 200)
  })

  it('masks the token in what the app receives, unless told not to', async (test) => {
    const sandbox = await sandboxFor(test)
    const masking = await startSidecar(test, settingsFor(sandbox, { TOKEN_STORE: 'memory:' }))
    const hidden = await send(`${masking.url}/reflect-token?chunked=1`)
    assert.match(hidden.json().token, /^\*{100,}$/)
    assert.match(String(hidden.headers['x-reflected-token']), /^\*{100,}$/)

    const open = await startSidecar(test, settingsFor(sandbox, { MASK_TOKEN: 'false' }))
    assert.match((await send(`${open.url}/reflect-token`)).json().token, /^1\./)
  })

  it('lets nobody reach the token API through the sidecar', async (test) => {
    const sandbox = await sandboxFor(test)
    const sidecar = await startSidecar(test, settingsFor(sandbox))
    await sidecar.ready()
    for (const path of [
      '/integration/v1/authz/token',
      '/integration/v1/authz/%74oken',
      '//integration/v1//authz/token?x',
    ]) {
      const refused = await send(sidecar.url + path, { headers: { 'x-clear-client-secret': 'demo-secret' } })
      assert.ok([400, 403].includes(refused.status), `${path}: ${refused.status}`)
    }
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('names a Redis server that the built program then speaks to', async (test) => {
    const sandbox = await sandboxFor(test)
    let heard = ''
    const redis = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        heard += bytes.toString()
      })
    }).listen(0, '127.0.0.1')
    test.after(() => void redis.close())
    await once(redis, 'listening')
    const port = (redis.address() as AddressInfo).port
    const sidecar = await startSidecar(
      test,
      settingsFor(sandbox, { TOKEN_STORE: `redis://127.0.0.1:${port}` }),
    )
    // Any command of the protocol: what it is to be answered is for the tests of the store.
    await eventually('a command arrives', () => /^\*\d+\r\n\$\d+\r\n/.test(heard))
    const { cause } = await sidecar.logged('store_unreachable')
    assert.equal(cause, 'TimeoutError')
    // Without the store nobody knows whether a token lives: no mint.
    assertTokenRequests(sandbox, { requests: 0, minted: 0 })
  })
})

async function overSocket(socketPath: string, path: string): Promise<{ status: number; text: string }> {
  const outgoing = request({ socketPath, path, headers: { host: 'localhost' }, agent: false })
  outgoing.end()
  const [response] = await once(outgoing, 'response')
  return { status: response.statusCode, text: (await buffer(response)).toString() }
}
