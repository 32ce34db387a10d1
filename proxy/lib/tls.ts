import type { Secret } from './secret.ts'

/** Certificates for connections to the APIs, PEM. Verification is always on. */
export interface TlsFiles {
  /** Private certificate authority, instead of the public ones. */
  readonly ca: string | undefined
  /** Client certificate and its key. */
  readonly cert: string | undefined
  readonly key: Secret | undefined
}

/**
 * For every TLS connection: the server must prove its name. Said each time, since `NODE_TLS_REJECT_UNAUTHORIZED=0`, which
 * somebody once set for another program, turns Node's default off.
 */
export const VERIFIED = { rejectUnauthorized: true } as const

interface TlsOptions {
  readonly rejectUnauthorized: true
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** The same as Node's TLS options; the only place that reveals the key. */
export function tlsOptions({ ca, cert, key }: TlsFiles): TlsOptions {
  return {
    ...VERIFIED,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: key.reveal() }),
  }
}
