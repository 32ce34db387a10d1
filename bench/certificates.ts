import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/**
 * Makes two CAs and a certificate for `localhost` and 127.0.0.1 from each, below `dir`: `trusted.{pem,key}` from `ca.pem`, and
 * `untrusted.{pem,key}` from a CA that nobody is told. Returns false when there is no openssl.
 */
export function makeCertificates(dir: string): boolean {
  return issue(dir, 'ca', 'trusted') && issue(dir, 'other-ca', 'untrusted')
}

function issue(dir: string, ca: string, leaf: string): boolean {
  const file = (name: string) => join(dir, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  return (
    openssl([
      ...['req', '-x509', ...newKey, '-subj', `/CN=bench ${ca}`],
      ...['-keyout', file(`${ca}.key`), '-out', file(`${ca}.pem`)],
    ]) &&
    openssl([
      ...['req', '-x509', ...newKey, '-subj', '/CN=localhost'],
      ...['-CA', file(`${ca}.pem`), '-CAkey', file(`${ca}.key`)],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-addext', 'basicConstraints=critical,CA:FALSE'],
      ...['-keyout', file(`${leaf}.key`), '-out', file(`${leaf}.pem`)],
    ])
  )
}

function openssl(args: readonly string[]): boolean {
  const { error, status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  if (error !== undefined) return false
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`)
  return true
}
