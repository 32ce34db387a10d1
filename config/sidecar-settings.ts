// Generated from config/settings.ts by "npm run docs": do not edit.

/** The settings of a sidecar, by the names that they have in an environment. */
export interface SidecarSettings {
  /** The API client's secret; a file is read again when it changes. Required, here or in a file. */
  readonly CLIENT_SECRET?: string | undefined
  /** Path of a file that holds `CLIENT_SECRET`, in its place. */
  readonly CLIENT_SECRET_FILE?: string | undefined
  /**
   * Base URL of the business APIs, such as `https://api.clear.in`; a path in it is prepended to
   * every request path. Required.
   */
  readonly UPSTREAM_URL?: string | undefined
  /**
   * The Generate Access Token API. Default: origin of `UPSTREAM_URL` +
   * `/integration/v1/authz/token`.
   */
  readonly TOKEN_URL?: string | undefined
  /**
   * Header that carries the token upstream; some products want `x-clear-auth-token`. Default:
   * `x-cleartax-auth-token`.
   */
  readonly TOKEN_HEADER?: string | undefined
  /**
   * Prepended to the token in that header, spaces included, for example `Bearer ` with a space
   * at its end. Default: empty.
   */
  readonly TOKEN_PREFIX?: string | undefined
  /**
   * Where the app sends its calls: `host:port`, or `unix:/path.sock` for processes of the same
   * user or group (mode 0660); port 0 picks a free one. Default: `127.0.0.1:0`.
   */
  readonly LISTEN?: string | undefined
  /** Where health, metrics and status are served, in the same forms. Default: `127.0.0.1:0`. */
  readonly OPS_LISTEN?: string | undefined
  /**
   * Key that callers must send as `x-sidecar-key`, or two, comma separated, while one is
   * replaced; use at least 16 random characters; required when `LISTEN` is neither loopback nor
   * a socket; a file is read once, at the start. Default: none.
   */
  readonly CALLER_KEY?: string | undefined
  /** Path of a file that holds `CALLER_KEY`, in its place. */
  readonly CALLER_KEY_FILE?: string | undefined
  /**
   * Names accepted in the `Host` header, whatever the port (against DNS rebinding); add the
   * names that callers use. Default: `localhost,127.0.0.1,[::1]`.
   */
  readonly ALLOWED_HOSTS?: string | undefined
  /**
   * Where tokens are kept and shared by replicas: `memory:`, `file:/path`, `redis://host:6379`
   * or `rediss://…`, `redis-sentinel://host:26379,host:26379/NAME`,
   * `kubernetes:NAMESPACE/NAME`; `file:` alone is `token-sidecar/tokens.json` below
   * `$XDG_STATE_HOME` or `~/.local/state`, `kubernetes:` alone the Secret `token-sidecar` in
   * its own namespace. Default: `file:` in the user's state directory.
   */
  readonly TOKEN_STORE?: string | undefined
  /**
   * How long before `valid_till` a new token is minted; a set value is capped at half the
   * token's life. Default: the smaller of `5m` and a tenth of the token's life.
   */
  readonly REFRESH_LEAD?: string | undefined
  /**
   * Cron expression: also mint at these times (for tokens that never expire), such as `0 3 * *
   * *`. Default: none.
   */
  readonly ROTATE_SCHEDULE?: string | undefined
  /**
   * How long a request may wait when no usable token is held; keep it longer than
   * `MINT_TIMEOUT` + `MINT_QUARANTINE` + `1s`, so that a replica killed while minting costs no
   * call. Default: `10s`.
   */
  readonly HOLD_TIMEOUT?: string | undefined
  /** How long a request waits for a rotation while the old token may still live. Default: `1s`. */
  readonly ROTATION_HOLD?: string | undefined
  /** Deadline of one mint. Default: `5s`. */
  readonly MINT_TIMEOUT?: string | undefined
  /**
   * How long nobody mints after an unanswered mint, because it may still take effect. Default:
   * `2s`.
   */
  readonly MINT_QUARANTINE?: string | undefined
  /** Minimum time between two mints caused by rejected tokens. Default: `30s`. */
  readonly MINT_MIN_INTERVAL?: string | undefined
  /**
   * Automatic requests to the token API per secret and UTC day, failed ones included, across
   * restarts and replicas; the API refuses more than 288. Default: `240`.
   */
  readonly MINT_DAILY_BUDGET?: string | undefined
  /**
   * Statuses of the upstream that mean "token rejected", comma separated, such as `401,403`.
   * Default: `401`.
   */
  readonly REJECTED_STATUS?: string | undefined
  /**
   * What may be called: `METHOD /path/**` patterns, comma separated; anything else is refused.
   * `*` matches any method or one path segment, `**` at the end any rest; matched against the
   * path the upstream will see, base path included. Default: all but the token path.
   */
  readonly ALLOW?: string | undefined
  /** Replace the held token by `*` in what the app receives. Default: `true`. */
  readonly MASK_TOKEN?: string | undefined
  /** How long a connection to the upstream may take to open. Default: `5s`. */
  readonly UPSTREAM_CONNECT_TIMEOUT?: string | undefined
  /** How long the upstream may be silent before or during a response. Default: `120s`. */
  readonly UPSTREAM_TIMEOUT?: string | undefined
  /**
   * PEM file with the certificates of a private CA to verify the upstream with, instead of the
   * public ones. Default: none.
   */
  readonly UPSTREAM_CA_FILE?: string | undefined
  /** PEM file with the client certificate shown to the upstream. Default: none. */
  readonly UPSTREAM_CERT_FILE?: string | undefined
  /** PEM file with the private key of that certificate, not encrypted. Default: none. */
  readonly UPSTREAM_KEY_FILE?: string | undefined
  /** A request body up to this size can be replayed after a rejection. Default: `1MiB`. */
  readonly REPLAY_BODY_LIMIT?: string | undefined
  /** Total size of all bodies kept for replay. Default: `64MiB`. */
  readonly REPLAY_MEMORY_LIMIT?: string | undefined
  /**
   * Connections of callers open at the same time; beyond that, a new one replaces the one that
   * has been idle longest, or waits for a place. Default: `1024`.
   */
  readonly MAX_CONNECTIONS?: string | undefined
  /** Maximum size of the head of a request. Default: `16KiB`. */
  readonly MAX_HEADER_BYTES?: string | undefined
  /** How long requests may take to finish after SIGTERM. Default: `25s`. */
  readonly SHUTDOWN_TIMEOUT?: string | undefined
  /**
   * The least severe events that are logged: `error`, `warn`, `info` or `debug`. Default:
   * `info`.
   */
  readonly LOG_LEVEL?: string | undefined
  /** `json`, or `pretty` for people. Default: `json`. */
  readonly LOG_FORMAT?: string | undefined
  /** Which calls leave a line: `off`, `errors` or `all`. Default: `errors`. */
  readonly ACCESS_LOG?: string | undefined
  /** More routes by name, comma separated, such as `gls,my`. Default: none. */
  readonly ROUTES?: string | undefined
  /** What a route that `ROUTES` names has for itself, such as `ROUTE_GLS_PREFIX`. */
  readonly [variable: `ROUTE_${string}`]: string | undefined
}
