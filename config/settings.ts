import * as parse from './parsers.ts'

/** One variable of the environment. */
export interface Setting {
  readonly parse: parse.Parser<unknown>
  readonly section: (typeof sections)[number]
  /** What it means, in one sentence, Markdown: the text of `--help` and docs/configuration.md. */
  readonly about: string
  /** The default, as a person would write it. Without one the setting is required, or null unless set. */
  readonly fallback?: string
  readonly required?: true
  /** What stands in the place of a default that is worked out, in words. */
  readonly otherwise?: string
  /** The value is never shown. */
  readonly secret?: true
  /** A second variable, with `_FILE` after the name, may give the path of a file that holds the value. */
  readonly file?: true
  /** White space at either end belongs to the value. */
  readonly verbatim?: true
  /** `too`: a route may have its own, as `ROUTE_N_` and the name. `only`: there is no other. */
  readonly perRoute?: 'too' | 'only'
}

export const sections = [
  'Token and upstream',
  'Listeners and callers',
  'Life of a token',
  'Requests',
  'Limits',
  'Logs',
  'Routes',
] as const

/**
 * THE table of settings. Parsing, `_FILE` pairs, overrides for routes, warnings about misspelled names, `--help` and
 * docs/configuration.md all follow from it. A name with `ROUTE_N_` stands for that variable of each route N.
 */
export const settings = {
  CLIENT_SECRET: {
    parse: parse.clientSecret,
    section: 'Token and upstream',
    about: "The API client's secret; a file is read again when it changes.",
    required: true,
    secret: true,
    file: true,
    perRoute: 'too',
  },
  UPSTREAM_URL: {
    parse: parse.baseUrl,
    section: 'Token and upstream',
    about:
      'Base URL of the business APIs, such as `https://api.clear.in`; a path in it is prepended to every request path.',
    required: true,
    perRoute: 'too',
  },
  TOKEN_URL: {
    parse: parse.httpUrl,
    section: 'Token and upstream',
    about: 'The Generate Access Token API.',
    otherwise: 'origin of `UPSTREAM_URL` + `/integration/v1/authz/token`',
    perRoute: 'too',
  },
  TOKEN_HEADER: {
    parse: parse.headerName,
    section: 'Token and upstream',
    about: 'Header that carries the token upstream; some products want `x-clear-auth-token`.',
    fallback: 'x-cleartax-auth-token',
    perRoute: 'too',
  },
  TOKEN_PREFIX: {
    parse: parse.tokenPrefix,
    section: 'Token and upstream',
    about:
      'Prepended to the token in that header, spaces included, for example `Bearer ` with a space at its end.',
    fallback: '',
    verbatim: true,
    perRoute: 'too',
  },

  LISTEN: {
    parse: parse.listenAddress,
    section: 'Listeners and callers',
    about:
      'Where the app sends its calls: `host:port`, or `unix:/path.sock` for processes of the same user or group (mode 0660); port 0 picks a free one.',
    fallback: '127.0.0.1:8080',
  },
  OPS_LISTEN: {
    parse: parse.listenAddress,
    section: 'Listeners and callers',
    about: 'Where health, metrics and status are served, in the same forms.',
    fallback: '127.0.0.1:9464',
  },
  CALLER_KEY: {
    parse: parse.callerKeys,
    section: 'Listeners and callers',
    about:
      'Key that callers must send as `x-sidecar-key`, or two, comma separated, while one is replaced; use at least 16 random characters; required when `LISTEN` is neither loopback nor a socket; a file is read once, at the start.',
    secret: true,
    file: true,
  },
  ALLOWED_HOSTS: {
    parse: parse.hostList,
    section: 'Listeners and callers',
    about:
      'Names accepted in the `Host` header, whatever the port (against DNS rebinding); add the names that callers use.',
    fallback: 'localhost,127.0.0.1,[::1]',
  },

  TOKEN_STORE: {
    parse: parse.storeLocation,
    section: 'Life of a token',
    about:
      'Where tokens are kept and shared by replicas: `memory:`, `file:/path`, `redis://host:6379` or `rediss://…`, `redis-sentinel://host:26379,host:26379/NAME`, `kubernetes:NAMESPACE/NAME`; `file:` alone is `token-sidecar/tokens.json` below `$XDG_STATE_HOME` or `~/.local/state`, `kubernetes:` alone the Secret `token-sidecar` in its own namespace.',
    fallback: 'file:',
    otherwise: "`file:` in the user's state directory",
  },
  REFRESH_LEAD: {
    parse: parse.duration({ zero: 'allowed' }),
    section: 'Life of a token',
    about:
      "How long before `valid_till` a new token is minted; a set value is capped at half the token's life.",
    otherwise: "the smaller of `5m` and a tenth of the token's life",
  },
  ROTATE_SCHEDULE: {
    parse: parse.cronExpression,
    section: 'Life of a token',
    about: 'Cron expression: also mint at these times (for tokens that never expire), such as `0 3 * * *`.',
  },
  HOLD_TIMEOUT: {
    parse: parse.duration({ zero: 'allowed' }),
    section: 'Life of a token',
    about:
      'How long a request may wait when no usable token is held; keep it longer than `MINT_TIMEOUT` + `MINT_QUARANTINE` + `1s`, so that a replica killed while minting costs no call.',
    fallback: '10s',
  },
  ROTATION_HOLD: {
    parse: parse.duration({ zero: 'allowed' }),
    section: 'Life of a token',
    about: 'How long a request waits for a rotation while the old token may still live.',
    fallback: '1s',
  },
  MINT_TIMEOUT: {
    parse: parse.duration({ zero: 'refused' }),
    section: 'Life of a token',
    about: 'Deadline of one mint.',
    fallback: '5s',
  },
  MINT_QUARANTINE: {
    parse: parse.duration({ zero: 'allowed' }),
    section: 'Life of a token',
    about: 'How long nobody mints after an unanswered mint, because it may still take effect.',
    fallback: '2s',
  },
  MINT_MIN_INTERVAL: {
    parse: parse.duration({ zero: 'allowed' }),
    section: 'Life of a token',
    about: 'Minimum time between two mints caused by rejected tokens.',
    fallback: '30s',
  },
  MINT_DAILY_BUDGET: {
    parse: parse.integer(1, 100_000),
    section: 'Life of a token',
    about:
      'Automatic requests to the token API per secret and UTC day, failed ones included, across restarts and replicas; the API refuses more than 288.',
    fallback: '240',
  },

  REJECTED_STATUS: {
    parse: parse.statusList,
    section: 'Requests',
    about: 'Statuses of the upstream that mean "token rejected", comma separated, such as `401,403`.',
    fallback: '401',
  },
  ALLOW: {
    parse: parse.allowRules,
    section: 'Requests',
    about:
      'What may be called: `METHOD /path/**` patterns, comma separated; anything else is refused. `*` matches any method or one path segment, `**` at the end any rest; matched against the path the upstream will see, base path included.',
    otherwise: 'all but the token path',
    perRoute: 'too',
  },
  MASK_TOKEN: {
    parse: parse.boolean,
    section: 'Requests',
    about: 'Replace the held token by `*` in what the app receives.',
    fallback: 'true',
  },
  UPSTREAM_CONNECT_TIMEOUT: {
    parse: parse.duration({ zero: 'refused' }),
    section: 'Requests',
    about: 'How long a connection to the upstream may take to open.',
    fallback: '5s',
  },
  UPSTREAM_TIMEOUT: {
    parse: parse.duration({ zero: 'refused' }),
    section: 'Requests',
    about: 'How long the upstream may be silent before or during a response.',
    fallback: '120s',
  },
  UPSTREAM_CA_FILE: {
    parse: parse.filePath,
    section: 'Requests',
    about:
      'PEM file with the certificates of a private CA to verify the upstream with, instead of the public ones.',
  },
  UPSTREAM_CERT_FILE: {
    parse: parse.filePath,
    section: 'Requests',
    about: 'PEM file with the client certificate shown to the upstream.',
  },
  UPSTREAM_KEY_FILE: {
    parse: parse.filePath,
    section: 'Requests',
    about: 'PEM file with the private key of that certificate, not encrypted.',
  },

  REPLAY_BODY_LIMIT: {
    parse: parse.size({ min: '0', max: '1GiB' }),
    section: 'Limits',
    about: 'A request body up to this size can be replayed after a rejection.',
    fallback: '1MiB',
  },
  REPLAY_MEMORY_LIMIT: {
    parse: parse.size({ min: '0', max: '64GiB' }),
    section: 'Limits',
    about: 'Total size of all bodies kept for replay.',
    fallback: '64MiB',
  },
  MAX_CONNECTIONS: {
    parse: parse.integer(1, 1_000_000),
    section: 'Limits',
    about:
      'Connections of callers open at the same time; beyond that, a new one replaces the one that has been idle longest, or waits for a place.',
    fallback: '1024',
  },
  MAX_HEADER_BYTES: {
    parse: parse.size({ min: '1KiB', max: '1MiB' }),
    section: 'Limits',
    about: 'Maximum size of the head of a request.',
    fallback: '16KiB',
  },
  SHUTDOWN_TIMEOUT: {
    parse: parse.duration({ zero: 'allowed' }),
    section: 'Limits',
    about: 'How long requests may take to finish after SIGTERM.',
    fallback: '25s',
  },

  LOG_LEVEL: {
    parse: parse.oneOf(['error', 'warn', 'info', 'debug']),
    section: 'Logs',
    about: 'The least severe events that are logged: `error`, `warn`, `info` or `debug`.',
    fallback: 'info',
  },
  LOG_FORMAT: {
    parse: parse.oneOf(['json', 'pretty']),
    section: 'Logs',
    about: '`json`, or `pretty` for people.',
    fallback: 'json',
  },
  ACCESS_LOG: {
    parse: parse.oneOf(['off', 'errors', 'all']),
    section: 'Logs',
    about: 'Which calls leave a line: `off`, `errors` or `all`.',
    fallback: 'errors',
  },

  ROUTES: {
    parse: parse.routeNames,
    section: 'Routes',
    about: 'More routes by name, comma separated, such as `gls,my`.',
  },
  ROUTE_N_PREFIX: {
    parse: parse.pathPrefix,
    section: 'Routes',
    about:
      'Path the route N answers to, like `/gls`: matched on whole segments, longest first, and removed before forwarding.',
    required: true,
    perRoute: 'only',
  },
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof settings

/** What a setting's parser gives. */
export type SettingValue<N extends SettingName> = (typeof settings)[N] extends {
  parse: parse.Parser<infer T>
}
  ? T
  : never
