import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { sandboxFor } from '../sandbox/client.ts'
import { assertTokenRequests, settingsFor, sharedStore } from '../scenarios/setup.ts'
import { type TestCertificateName, testCertificate } from '../support/certificates.ts'
import { startSidecar } from '../support/sidecar-process.ts'
import { runProgram } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Found {
  readonly result: string
  readonly subject: string
  readonly found: string
  readonly todo?: string
}

/** On free ports, unless a test is about them. */
const anywhere = { LISTEN: '127.0.0.1:0', OPS_LISTEN: '127.0.0.1:0' }

async function checked(test: TestContext, env: Record<string, string>) {
  const { code, stdout, stderr } = await runProgram(test, ['check', '--json'], { ...anywhere, ...env })
  const { findings } = JSON.parse(stdout) as { findings: Found[] }
  return {
    code,
    stderr,
    findings,
    about: (subject: RegExp) => findings.filter((f) => subject.test(f.subject)),
  }
}

async function listening(test: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.after(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** A business API alone, as `check` sees it. */
const upstreamOnly = (url: string, more: Record<string, string> = {}) => ({
  CLIENT_SECRET: 'demo-secret',
  UPSTREAM_URL: url,
  TOKEN_STORE: 'memory:',
  ...more,
})

describe('check', { concurrency: 2 }, () => {
  it('looks at settings, store, addresses and hosts, and never mints', async (test) => {
    const sandbox = await sandboxFor(test, { tokenPort: 0 })
    const env = settingsFor(sandbox, { ...anywhere, TOKEN_STORE: sharedStore(), CLIENT_SECRETS: 'x' })
    const { code, stdout, stderr } = await runProgram(test, ['check'], env)
    assert.equal(code, 0, stderr)
    const lines = stdout.split('\n')
    for (const line of [
      /^warning +CLIENT_SECRETS: .*CLIENT_SECRET/,
      /^ {9}→ correct it/,
      /^ok +configuration: 1 route, 1 credential$/,
      /^ok +client secret of default: read from the environment/,
      /^ok +token store file:.* for default: holds no token yet, can be written$/,
      /^ok +LISTEN http:\/\/127\.0\.0\.1:0: free$/,
      /^ok +OPS_LISTEN http:\/\/127\.0\.0\.1:0: free$/,
      new RegExp(`^ok +business API ${sandbox.url}: connected to 127\\.0\\.0\\.1 port \\d+$`),
      new RegExp(`^ok +token API ${new URL(sandbox.tokenUrl).origin}: answers HTTP .*the clocks agree$`),
    ])
      assert.ok(
        lines.some((found) => line.test(found)),
        `${line}\n${stdout}`,
      )
    assert.ok(!stdout.includes('\u001b'), 'no colours where nobody sees them')
    assertTokenRequests(sandbox, { requests: 0, minted: 0 })
  })

  it('tells of what a running sidecar has, without disturbing it', async (test) => {
    const sandbox = await sandboxFor(test)
    const env = settingsFor(sandbox, { TOKEN_STORE: sharedStore() })
    const sidecar = await startSidecar(test, env)
    await sidecar.ready()
    const addresses = { LISTEN: new URL(sidecar.url).host, OPS_LISTEN: new URL(sidecar.opsUrl).host }
    const { code, about, findings } = await checked(test, { ...env, ...addresses })
    assert.equal(code, 0, JSON.stringify(findings))
    assert.match(about(/^token store/)[0]?.found ?? '', /^holds generation 1/)
    assert.deepEqual(
      about(/LISTEN/).map(({ found }) => found),
      ['a token-sidecar listens there', 'a token-sidecar listens there'],
    )
    assertTokenRequests(sandbox, { requests: 1, minted: 1 })
  })

  it('names another program at its address, with 69', async (test) => {
    const sandbox = await sandboxFor(test)
    const port = await listening(
      test,
      createHttpServer((_request, response) => void response.end('hello')),
    )
    const env = settingsFor(sandbox, { TOKEN_STORE: 'memory:', OPS_LISTEN: `127.0.0.1:${port}` })
    const { code, about } = await checked(test, env)
    assert.equal(code, 69)
    const [taken] = about(/^OPS_LISTEN/)
    assert.equal(taken?.found, 'another program listens there')
    assert.match(taken?.todo ?? '', /set OPS_LISTEN/)
  })

  it('does not ask beyond the settings with --config-only', async (test) => {
    const env = upstreamOnly('http://127.0.0.1:1')
    assert.equal((await runProgram(test, ['check', '--config-only'], env)).code, 0)
  })

  it('lists wrong settings with 78, also as JSON', async (test) => {
    const { code, findings, stderr } = await checked(test, { UPSTREAM_URL: 'ftp://x', CLIENT_SECRET: 'abc' })
    assert.equal(code, 78)
    assert.deepEqual(
      findings.map(({ result, subject }) => [result, subject]),
      [['failed', 'UPSTREAM_URL']],
    )
    assert.match(stderr, /UPSTREAM_URL/)
  })

  it('says of a store that cannot be written what would let it', async (test) => {
    const sandbox = await sandboxFor(test)
    const blocker = join(tempDir(), 'a-file')
    writeFileSync(blocker, '')
    const { code, about } = await checked(
      test,
      settingsFor(sandbox, { TOKEN_STORE: `file:${blocker}/t.json` }),
    )
    assert.equal(code, 69)
    const [store] = about(/^token store/)
    assert.match(store?.found ?? '', /^E[A-Z]+$/)
    assert.match(store?.todo ?? '', /let the user of the sidecar write/)
  })

  it('warns of a secret file that everybody can read, and of contents that are no secret', async (test) => {
    const sandbox = await sandboxFor(test)
    const path = join(tempDir(), 'secret')
    const found = async (content: string, mode: number) => {
      writeFileSync(path, content)
      chmodSync(path, mode)
      const env = settingsFor(sandbox, { CLIENT_SECRET_FILE: path, TOKEN_STORE: 'memory:' })
      const { code, about } = await checked(test, env)
      assert.equal(code, 0, 'warnings alone are no failure')
      return about(/^client secret/)
    }
    const [fine] = await found('a-secret-of-some-length\n', 0o600)
    assert.equal(fine?.result, 'ok')
    const [open] = await found('a-secret-of-some-length', 0o644)
    assert.match(open?.found ?? '', /every user of this host \(mode 644\)/)
    assert.match(open?.todo ?? '', /chmod o-r/)
    for (const [content, why] of [
      ['"a-secret-of-some-length"', /quotation marks/],
      ['short', /5 characters only/],
      ['eyJhbGciOiJub25lIn0.eyJhIjoxfQ.x', /access token/],
      ['<client-secret>', /placeholder/],
    ] as const) {
      const [doubt] = await found(content, 0o600)
      assert.equal(doubt?.result, 'warning')
      assert.match(doubt?.found ?? '', why)
      assert.ok(!JSON.stringify(doubt).includes(content))
    }
  })

  for (const [title, url, why, todo] of [
    ['a refused connection', 'http://127.0.0.1:1', /refused \(ECONNREFUSED\)/, /firewall/],
    [
      'a name that does not resolve',
      'http://no-such-host.invalid',
      /^no-such-host\.invalid: /,
      /host|name server/,
    ],
  ] as const) {
    it(`explains ${title}, with 69`, async (test) => {
      const { code, about } = await checked(test, upstreamOnly(url))
      assert.equal(code, 69)
      const failed = about(/^business API/).filter(({ result }) => result === 'failed')
      assert.equal(failed.length, 1)
      assert.match(failed[0]?.found ?? '', why)
      assert.match(failed[0]?.todo ?? '', todo)
    })
  }

  for (const [name, why, todo] of [
    ['expired', /expired.* \(CERT_HAS_EXPIRED; localhost, .*2021/, /tell who runs that host/],
    ['future', /not valid yet \(CERT_NOT_YET_VALID/, /clock/],
    ['elsewhere', /for other names \(ERR_TLS_CERT_ALTNAME_INVALID; elsewhere\.example/, /name the host/],
    ['unknown-authority', /UNABLE_TO_/, /UPSTREAM_CA_FILE/],
    ['localhost', /signed by itself \(DEPTH_ZERO_SELF_SIGNED_CERT/, /UPSTREAM_CA_FILE/],
  ] as const satisfies readonly (readonly [TestCertificateName, RegExp, RegExp])[]) {
    it(`explains the certificate "${name}", and sends nothing to who shows it`, async (test) => {
      let asked = 0
      const certificate = testCertificate(name)
      const port = await listening(
        test,
        createHttpsServer(certificate, () => void asked++),
      )
      const trusts = !['localhost', 'unknown-authority'].includes(name)
      const ca = join(tempDir(), 'ca.pem')
      writeFileSync(ca, certificate.cert)
      const env = upstreamOnly(`https://localhost:${port}`, trusts ? { UPSTREAM_CA_FILE: ca } : {})
      const { code, about } = await checked(test, env)
      assert.equal(code, 69)
      const failed = about(/^business API/).filter(({ result }) => result === 'failed')
      assert.equal(failed.length, 1)
      assert.match(failed[0]?.found ?? '', why)
      assert.match(failed[0]?.todo ?? '', todo)
      assert.equal(asked, 0)
    })
  }

  it('tells how long the certificate lasts, of a clock that differs, and asks for nothing but the root', async (test) => {
    const asked: string[] = []
    const { key, cert } = testCertificate('localhost')
    const server = createHttpsServer({ key, cert }, ({ method, url, headers }, response) => {
      asked.push(`${method} ${url}`)
      assert.equal(headers['x-clear-client-secret'], undefined)
      response.writeHead(404, { date: new Date(Date.now() + 60_000).toUTCString() }).end()
    })
    const port = await listening(test, server)
    const ca = join(tempDir(), 'ca.pem')
    writeFileSync(ca, cert)
    const env = upstreamOnly(`https://localhost:${port}`, { UPSTREAM_CA_FILE: ca })
    const { code, about, findings } = await checked(test, env)
    assert.equal(code, 0, JSON.stringify(findings))
    assert.match(about(/^UPSTREAM_CA_FILE/)[0]?.found ?? '', /valid for \d+ more days, until 2126/)
    const host = about(/^business API and token API/)
    assert.deepEqual(
      host.map(({ result }) => result),
      ['ok', 'ok', 'ok', 'warning'],
    )
    assert.match(host[2]?.found ?? '', /^TLSv1\.3, http\/1\.1; .*\(localhost\) is valid for \d+ more days/)
    assert.match(host[3]?.found ?? '', /clock here is (59|60|61)\.\d s behind its/)
    assert.deepEqual(asked, ['HEAD /'])
  })

  it('asks a token API at the root for nothing at all', async (test) => {
    let asked = 0
    const port = await listening(
      test,
      createHttpServer(() => void asked++),
    )
    const url = `http://127.0.0.1:${port}`
    const { code } = await checked(test, upstreamOnly(url, { TOKEN_URL: `${url}/` }))
    assert.equal(code, 0)
    assert.equal(asked, 0)
  })

  it('explains a port that does not speak TLS, and one that says nothing', async (test) => {
    const plain = await listening(
      test,
      createServer((socket) => void socket.end('HTTP/1.1 400 Bad\r\n\r\n')),
    )
    const silent = await listening(
      test,
      createServer((socket) => void socket.on('error', () => {})),
    )
    const spoken = await checked(test, upstreamOnly(`https://localhost:${plain}`))
    assert.match(JSON.stringify(spoken.about(/^business/).at(-1)), /does not speak TLS/)
    const began = performance.now()
    const quiet = await checked(test, upstreamOnly(`http://127.0.0.1:${silent}`))
    assert.equal(quiet.code, 69)
    assert.match(quiet.about(/^business/).at(-1)?.found ?? '', /does not answer HTTP\/1\.1/)
    assert.ok(performance.now() - began < 15_000)
  })
})
