/** Where the stub listens; 0 where it does not, for want of certificates. */
export interface StubPorts {
  readonly plain: number
  readonly tls: number
  /** TLS with a certificate of a CA that no contestant is given. */
  readonly untrusted: number
}

/** Where the upstream listens. */
export interface UpstreamPorts extends StubPorts {
  /** Answers GET only, at less cost than the stub where it can. */
  readonly get: number
  readonly getTls: number
}

/** What the upstream saw of a request to `/verify`. */
export interface Arrived {
  /** Counts the upstream's connections, so that two requests on one can be told. */
  readonly connection: number
  /** Of each token field's value. Hashed, since token-sidecar masks a token that an answer echoes. */
  readonly tokenSha256s: readonly string[]
  readonly bodySha256: string
}
