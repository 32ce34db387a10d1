import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { after, before, it } from 'node:test'
import { createSandbox, createSidecar } from 'token-sidecar'

// The app under test: it knows a base URL, and nothing of tokens.
const shop = (clearUrl) =>
  createServer((req, res) => {
    const onward = request(clearUrl + req.url, { method: req.method, headers: { gstin: '29AAFCD5862R000' } })
    onward.on('response', (answer) => answer.pipe(res.writeHead(answer.statusCode)))
    req.pipe(onward)
  })

let sandbox, sidecar, app, appUrl

before(async () => {
  sandbox = await createSandbox({ tokenLifeMs: 60_000 })
  sidecar = await createSidecar(sandbox.settings)
  app = shop(sidecar.url).listen(0, '127.0.0.1')
  await new Promise((resolve) => app.once('listening', resolve))
  appUrl = `http://127.0.0.1:${app.address().port}`
})

after(async () => {
  app.close()
  await sidecar.stop()
  await sandbox.stop()
})

it('reaches Clear', async () => {
  const answer = await fetch(`${appUrl}/einv/v2/eInvoice/download?size=1024`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('x-cleartax-auth-token'), null)
})

it('does not notice that somebody else minted', async () => {
  sandbox.foreignMint()
  assert.equal((await fetch(`${appUrl}/echo`)).status, 200)
})

it('does not notice that the token API is down while its token lives', async () => {
  sandbox.faults.add({ api: 'token', kind: 'status', status: 500 })
  assert.equal((await fetch(`${appUrl}/echo`)).status, 200)
  await sandbox.faults.clear()
})

it('passes on what Clear answers', async () => {
  sandbox.faults.add({ api: 'business', kind: 'status', status: 503, count: 1 })
  assert.equal((await fetch(`${appUrl}/echo`)).status, 503)
})
