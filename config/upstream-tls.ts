import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { Secret } from '../proxy/lib/secret.ts'
import type { UpstreamTlsConfig } from './config.ts'
import type { SettingsReader } from './settings-reader.ts'

/** Reads the certificate files and makes sure that they will work, so that a wrong one shows now and not on the first call. */
export function readUpstreamTls(reader: SettingsReader): UpstreamTlsConfig {
  const ca = content(reader, 'UPSTREAM_CA_FILE')
  const cert = content(reader, 'UPSTREAM_CERT_FILE')
  const key = content(reader, 'UPSTREAM_KEY_FILE')
  if (ca !== null && !holdsCertificates(ca)) {
    reader.problem('UPSTREAM_CA_FILE', 'names a file without valid PEM certificates')
  }
  if (cert !== null && !holdsCertificates(cert)) {
    reader.problem('UPSTREAM_CERT_FILE', 'names a file without a valid PEM certificate')
  } else if (cert !== null && key !== null) {
    checkPair(cert, key, reader)
  }
  return {
    ca: ca ?? undefined,
    cert: cert ?? undefined,
    key: key === null ? undefined : new Secret(key),
  }
}

function content(
  reader: SettingsReader,
  variable: 'UPSTREAM_CA_FILE' | 'UPSTREAM_CERT_FILE' | 'UPSTREAM_KEY_FILE',
): string | null {
  const path = reader.read(variable).value
  return path === null ? null : reader.readFile(variable, path)
}

/** Node takes a CA without any certificate for an empty list and says nothing, so each one is parsed here. */
function holdsCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  return blocks.length > 0 && blocks.every(isCertificate)
}

function isCertificate(block: string): boolean {
  try {
    new X509Certificate(block)
    return true
  } catch {
    return false
  }
}

function checkPair(cert: string, key: string, reader: SettingsReader): void {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    // The code alone: OpenSSL's message is about bytes that people should not see.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    reader.problem(
      'UPSTREAM_KEY_FILE',
      `names a file without the private key of UPSTREAM_CERT_FILE (${code})`,
    )
  }
}
