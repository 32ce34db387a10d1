import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { failure, load } from './support.ts'

// A self-signed pair made for this test and used nowhere else.
const CERT = `-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIUH7oNmamlNOD1N0vH54mu6DIWKsgwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGY2xpZW50MCAXDTI2MTEyMjIzMjM0N1oYDzIxMjYxMDI5MjMy
MzQ3WjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARVLVmMQo7Qe4G674tKtuebBZy3FOg/cSHu+Vv705U9px0KfP33c7KDxC8HylJK
hOMm+F92MpYzBapay5yn6MF0o1MwUTAdBgNVHQ4EFgQU5awAjXEbfFNBOe+77lXR
OndAP2cwHwYDVR0jBBgwFoAU5awAjXEbfFNBOe+77lXROndAP2cwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAznaUnbq77zlf/49FK+AvZTefl4n9
G5H6jEU0sXQ0beACIQClBS2udODOXDm4a1W6a3eHf5fjv82pwZjy/9iirgLvZQ==
-----END CERTIFICATE-----
`
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgU7H3sWm7ENK17bHE
9QGBKVJ9S1Ac+6pEmyic7tdBbOGhRANCAARVLVmMQo7Qe4G674tKtuebBZy3FOg/
cSHu+Vv705U9px0KfP33c7KDxC8HylJKhOMm+F92MpYzBapay5yn6MF0
-----END PRIVATE KEY-----
`
const OTHER_KEY = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
}).privateKey

const CLIENT = { UPSTREAM_CERT_FILE: '/tls/tls.crt', UPSTREAM_KEY_FILE: '/tls/tls.key' }

function problems(env: Record<string, string>, files: Record<string, string>): string[] {
  return failure(env, files).problems.map(({ variable, message }) => `${variable} ${message}`)
}

describe('upstream certificates', () => {
  it('are the contents of the files, the key as a secret', () => {
    const files = { '/tls/ca.crt': CERT + CERT, '/tls/tls.crt': CERT, '/tls/tls.key': KEY }
    const { upstreamTls } = load({ ...CLIENT, UPSTREAM_CA_FILE: '/tls/ca.crt' }, files).config.relay
    assert.equal(upstreamTls.ca, CERT + CERT)
    assert.equal(upstreamTls.cert, CERT)
    assert.ok(upstreamTls.key?.matches(KEY))
  })

  it('need both halves of a client certificate', () => {
    assert.deepEqual(problems({ UPSTREAM_CERT_FILE: '/tls/tls.crt' }, { '/tls/tls.crt': CERT }), [
      'UPSTREAM_KEY_FILE is required with UPSTREAM_CERT_FILE',
    ])
    assert.deepEqual(problems({ UPSTREAM_KEY_FILE: '/tls/tls.key' }, { '/tls/tls.key': KEY }), [
      'UPSTREAM_CERT_FILE is required with UPSTREAM_KEY_FILE',
    ])
  })

  it('need a key that belongs to the certificate', () => {
    const [problem] = problems(CLIENT, { '/tls/tls.crt': CERT, '/tls/tls.key': OTHER_KEY })
    assert.match(
      problem ?? '',
      /^UPSTREAM_KEY_FILE names a file without the private key .*KEY_VALUES_MISMATCH/,
    )
  })

  it('need a key at all, and say nothing of what is there instead', () => {
    const [problem, ...more] = problems(CLIENT, { '/tls/tls.crt': CERT, '/tls/tls.key': 'hunter2' })
    assert.match(problem ?? '', /^UPSTREAM_KEY_FILE /)
    assert.doesNotMatch(problem ?? '', /hunter2/)
    assert.deepEqual(more, [])
  })

  it('need certificates that can be read, which Node alone would not notice in a CA', () => {
    const broken = CERT.replace(/MII.*/, 'MIIB')
    for (const ca of ['', 'not a certificate', KEY, broken, CERT + broken]) {
      assert.deepEqual(problems({ UPSTREAM_CA_FILE: '/tls/ca.crt' }, { '/tls/ca.crt': ca }), [
        'UPSTREAM_CA_FILE names a file without valid PEM certificates',
      ])
    }
    const [problem] = problems(CLIENT, { '/tls/tls.crt': broken, '/tls/tls.key': KEY })
    assert.match(problem ?? '', /^UPSTREAM_CERT_FILE /)
  })

  it('that cannot be read are reported with path and system error code', () => {
    assert.deepEqual(problems({ UPSTREAM_CA_FILE: '/tls/ca.crt' }, {}), [
      'UPSTREAM_CA_FILE names a file that cannot be read: /tls/ca.crt (ENOENT)',
    ])
  })
})
