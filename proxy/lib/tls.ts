import type { Secret } from './secret.ts'

/** Certificates for connections to the APIs, PEM. Verification is always on. */
export interface TlsFiles {
  /** Private certificate authority, instead of the public ones. */
  readonly ca: string | undefined
  /** Client certificate and its key. */
  readonly cert: string | undefined
  readonly key: Secret | undefined
}

/** The same as Node's TLS options; the only place that reveals the key. */
export function tlsOptions({ ca, cert, key }: TlsFiles): { ca?: string; cert?: string; key?: string } {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: key.reveal() }),
  }
}
