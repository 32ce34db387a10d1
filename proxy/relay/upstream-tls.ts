import { isIP } from 'node:net'
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls'
import { type TlsFiles, tlsOptions, VERIFIED } from '../lib/tls.ts'

/** Certificates and session memory for the TLS connections to one origin. */
export class TlsClient {
  readonly #context: SecureContext
  readonly #servername: string
  #session: Buffer | undefined

  constructor(hostname: string, tls: TlsFiles) {
    this.#context = createSecureContext(tlsOptions(tls))
    // RFC 6066, section 3: no server name for an address.
    this.#servername = isIP(hostname) === 0 ? hostname : ''
  }

  /** Options for one connection. Verification does not depend on NODE_TLS_REJECT_UNAUTHORIZED. */
  options(): ConnectionOptions {
    const options: ConnectionOptions = {
      secureContext: this.#context,
      ...VERIFIED,
      ALPNProtocols: ['http/1.1'],
    }
    if (this.#servername !== '') options.servername = this.#servername
    if (this.#session !== undefined) options.session = this.#session
    return options
  }

  /** The latest ticket, with which the next connection saves a round trip. */
  remember(session: Buffer): void {
    this.#session = session
  }

  /** After a failed handshake: the ticket may be what the server dislikes. */
  forget(): void {
    this.#session = undefined
  }
}
