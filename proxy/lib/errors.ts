/** One row for each way a call can fail at the sidecar itself: what the caller sees. */
interface Meaning {
  /** HTTP status of the answer. */
  readonly status: number
  /** Error type of RFC 9209, section 2.3, for the `Proxy-Status` field. */
  readonly proxyStatus: string
  /** Sentence for people; never holds values from the call. */
  readonly title: string
}

/** The table of codes a caller can see. Codes are stable: callers, alerts and docs/operations.md match on them. */
export const problems = {
  request_invalid: {
    status: 400,
    proxyStatus: 'http_request_error',
    title: 'The request is not valid HTTP/1.1.',
  },
  request_forbidden: {
    status: 403,
    proxyStatus: 'http_request_denied',
    title: 'The sidecar does not forward this request.',
  },
  route_not_found: { status: 404, proxyStatus: 'destination_not_found', title: 'No route matches the path.' },
  request_timeout: {
    status: 408,
    proxyStatus: 'http_request_error',
    title: 'The request did not arrive in time.',
  },
  request_too_large: {
    status: 431,
    proxyStatus: 'http_request_error',
    title: 'The request head is too large.',
  },
  upstream_unreachable: {
    status: 502,
    proxyStatus: 'destination_unavailable',
    title: 'No connection to the business API.',
  },
  upstream_protocol_error: {
    status: 502,
    proxyStatus: 'http_protocol_error',
    title: 'The business API did not answer with valid HTTP.',
  },
  token_unavailable: {
    status: 503,
    proxyStatus: 'proxy_internal_response',
    title: 'No usable access token is held.',
  },
  secret_rejected: {
    status: 503,
    proxyStatus: 'proxy_internal_response',
    title: 'The token API rejects the client secret.',
  },
  mint_budget_exhausted: {
    status: 503,
    proxyStatus: 'proxy_internal_response',
    title: 'The daily budget of token requests is used up.',
  },
  shutting_down: {
    status: 503,
    proxyStatus: 'proxy_internal_response',
    title: 'The sidecar is shutting down.',
  },
  upstream_timeout: {
    status: 504,
    proxyStatus: 'http_response_timeout',
    title: 'The business API did not answer in time.',
  },
  internal_error: { status: 500, proxyStatus: 'proxy_internal_error', title: 'The sidecar failed.' },
} as const satisfies Record<string, Meaning>

/** A code that can appear in a problem answer. */
export type ProblemCode = keyof typeof problems

/** The `type` of RFC 9457: a name, not an address, since no host of documentation belongs to every copy of the program. */
export const problemType = (code: string): string => `urn:token-sidecar:problem:${code}`

/** Why a request to the token API brought no token: in `/status` as `last_error`, in the log with `mint_failed`. Stable as well. */
export const mintErrorCodes = [
  'mint_unreachable',
  'mint_secret_rejected',
  'mint_quota_exhausted',
  'mint_status',
  'mint_timeout',
  'mint_reset',
  'mint_garbage',
  'mint_internal',
] as const

export type MintErrorCode = (typeof mintErrorCodes)[number]

/** A code that ends the process, with its exit code (sysexits.h). */
export const exits = {
  ok: 0,
  usage_invalid: 64,
  unavailable: 69,
  internal_error: 70,
  config_invalid: 78,
} as const

export type ExitCode = keyof typeof exits

/** An error that a caller of the proxy will see as a problem answer. `code` is stable; the message is for logs. */
export class ProblemError extends Error {
  readonly code: ProblemCode
  /** For 503: when it is worth asking again, seconds. */
  readonly retryAfterS: number | undefined

  constructor(code: ProblemCode, options: { cause?: unknown; retryAfterS?: number; detail?: string } = {}) {
    super(options.detail ?? problems[code].title, { cause: options.cause })
    this.name = 'ProblemError'
    this.code = code
    this.retryAfterS = options.retryAfterS
  }
}

/** An error that ends the process with the exit code of its `code`. The message is printed for the person who started it. */
export class ExitError extends Error {
  readonly code: ExitCode

  constructor(code: ExitCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ExitError'
    this.code = code
  }
}
