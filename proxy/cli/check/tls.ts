import { once } from 'node:events'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type TlsFiles, tlsOptions } from '../../lib/tls.ts'
import { dateFinding } from './certificates.ts'
import { codeOf, type Explanation, type Finding } from './finding.ts'

const UNKNOWN_AUTHORITY: Explanation = [
  'its certificate is from an authority that is not known here',
  'a private host, or a network that looks into TLS, has an authority of its own: name its certificate by UPSTREAM_CA_FILE',
]

const NO_TLS: Explanation = [
  'that port does not speak TLS',
  'compare the port with the page of the product, or write http:// if that is meant',
]

const DISTRUSTED: Readonly<Record<string, Explanation>> = {
  CERT_HAS_EXPIRED: [
    'its certificate, or one above it, has expired',
    'tell who runs that host; if it has not, look at the clock of this host',
  ],
  CERT_NOT_YET_VALID: [
    'its certificate, or one above it, is not valid yet',
    'look at the clock of this host',
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    'its certificate is signed by itself',
    'if it is the right host, put that certificate into a file and name it by UPSTREAM_CA_FILE',
  ],
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    'its certificate comes without the ones between it and its authority',
    'tell who runs that host to send the whole chain, or name the missing ones by UPSTREAM_CA_FILE',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'its certificate is for other names',
    'name the host in the URL as the certificate does',
  ],
}

/** Speaks TLS over the connection. Null when it is not to be trusted; the findings say why. */
export async function secured(
  subject: string,
  host: string,
  socket: Socket,
  files: TlsFiles,
  now: number,
  findings: Finding[],
): Promise<TLSSocket | null> {
  const tls = connectTls({
    socket,
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    ALPNProtocols: ['http/1.1'],
    ...tlsOptions(files),
    // A certificate that is not trusted is looked at, to say what is wrong with it. Nothing is sent to who shows it.
    rejectUnauthorized: false,
  })
  try {
    await once(tls, 'secureConnect')
  } catch (error) {
    findings.push(handshakeFailure(subject, error))
    return null
  }
  tls.on('error', () => {})
  const { subject: name, valid_from: from, valid_to: to, subjectaltname: names } = tls.getPeerCertificate()
  if (!tls.authorized) {
    const code = codeOf({ code: tls.authorizationError })
    const [why, todo] = DISTRUSTED[code] ?? [
      'its certificate is not trusted',
      'look at the certificate: openssl s_client',
    ]
    const seen = `${name?.CN ?? 'no name'}${names === undefined ? '' : `, ${names}`}, valid until ${to}`
    findings.push({ result: 'failed', subject, found: `${why} (${code}; ${seen})`, todo })
    tls.destroy()
    return null
  }
  const dates = { validFromDate: new Date(from), validToDate: new Date(to) }
  const spoken = `${tls.getProtocol()}, ${tls.alpnProtocol === false ? 'no ALPN' : tls.alpnProtocol}`
  const what = `${spoken}; its certificate (${name?.CN ?? host})`
  findings.push(dateFinding(subject, what, dates, now, 'tell who runs that host'))
  return tls
}

const HANDSHAKE_FAILURES: Readonly<Record<string, Explanation>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: NO_TLS,
  ECONNRESET: [
    'the connection is broken off during the handshake',
    'a firewall that looks at host names, a port that does not speak TLS, or a missing client certificate (UPSTREAM_CERT_FILE)',
  ],
  ABORT_ERR: [
    'the handshake does not come to its end in time',
    'a port that does not speak TLS, or a network that drops large packets (MTU)',
  ],
}

function handshakeFailure(subject: string, error: unknown): Finding {
  const code = codeOf(error)
  const [why, todo] = HANDSHAKE_FAILURES[code] ?? [
    'the TLS handshake fails',
    'the server may want a client certificate (UPSTREAM_CERT_FILE, UPSTREAM_KEY_FILE) or another version of TLS',
  ]
  return { result: 'failed', subject, found: `${why} (${code})`, todo }
}
