import type { AdviceEntry } from './entry.ts'

const BUG = 'Report it with this line; LOG_LEVEL=debug adds the stack.'

/** For log events of level warn and error that have no code of their own. */
export const eventAdvice = {
  config_warning: {
    meaning: 'A setting is probably not what you meant; the process started with it.',
    causes: ['a misspelled name', 'two settings that do not go together'],
    next: 'Read the message of the line; token-sidecar check --config-only shows it again without a restart.',
  },
  token_suspect: {
    meaning: 'A call was rejected with the token in use, which is replaced unless a later call is accepted.',
    causes: ['somebody else minted: see foreign_mint', 'the endpoint answers 401 for a reason of its own'],
    next: 'Nothing, unless it happens often: then see foreign_mint, and check that REJECTED_STATUS fits the product.',
  },
  mint_put_off: {
    meaning:
      'Getting the right to mint took so long that too little of MINT_TIMEOUT was left; no request was sent, and the sidecar tries again.',
    causes: [
      'the token store is slow, or far away',
      'this process gets too little CPU',
      'MINT_TIMEOUT is shorter than the time that store and token API take',
    ],
    next: 'Nothing, unless it happens often: then check the store, the CPU limit of the container and MINT_TIMEOUT.',
  },
  foreign_mint: {
    meaning:
      'A token was revoked before its end, and not by a process that shares this store: somebody else minted with the secret.',
    causes: [
      'another deployment, cluster or region with the same secret',
      'a replica with another TOKEN_STORE, such as memory: or a file on another host',
      'an app or a connector that still mints for itself',
      'a person or a job with curl, Postman or a script',
    ],
    next: 'Give each of them its own API client, or the same TOKEN_STORE. If nobody else should have the secret, replace it. Until then replacements come at growing pauses.',
  },
  secret_file_unreadable: {
    meaning: 'The client secret file cannot be read; the secret read before stays in use.',
    causes: ['the file is gone, or is being replaced', 'its permissions no longer let this user read it'],
    next: 'Put the file back, readable by the user of the sidecar. It is checked every second.',
  },
  secret_file_invalid: {
    meaning:
      'The content of the client secret file cannot be sent in a header; the secret read before stays in use.',
    causes: [
      'line breaks, spaces or quotation marks in it',
      'a file of another kind, or in UTF-16',
      'base64 decoded once too often',
    ],
    next: 'Write only the secret into the file, on one line. It is checked every second.',
  },
  store_unreachable: {
    meaning:
      'The token store does not answer. The token in use works until it expires; nobody mints, since that would revoke the token of the others.',
    causes: [
      'Redis, the API server or the disk is down or full',
      'the network, a password or a role keeps this process out',
    ],
    next: 'store_connection_failed says why. Fix the store; nothing has to be restarted.',
  },
  store_connection_failed: {
    meaning: 'The token store refused this process, or could not be reached.',
    causes: [
      'Redis: host, port, password, TLS, or an ACL that lacks commands',
      'Kubernetes: a role without get, watch and patch on the Secret, or no such Secret',
      'the network between the two',
    ],
    next: 'Follow the error in the line; token-sidecar check tries the store again.',
  },
  store_watch_failed: {
    meaning:
      'News from the store does not arrive, so tokens of other replicas are noticed later, or when a call is rejected, which is then resent.',
    causes: [
      'Kubernetes: a role without watch',
      'Redis: an ACL without subscribe or the channel',
      'a connection that is cut off when idle',
    ],
    next: 'Grant the permission. Until then the store is read every few seconds.',
  },
  store_behind: {
    meaning: 'The store had lost the newest token; it was written back.',
    causes: ['the store was emptied or restored', 'a fail-over to a lagging replica'],
    next: 'Nothing, unless it happens often: then make the store keep its data.',
  },
  publish_superseded: {
    meaning: 'Another process took over the right to mint while this one minted; its token is used.',
    causes: [
      'this process was stopped for seconds: a laptop asleep, a starved container',
      'the store lost the lease in a fail-over',
    ],
    next: 'Nothing, unless it happens often: then give the process more CPU.',
  },
  store_file_unreadable: {
    meaning: 'The token file was damaged. It was set aside under the name in kept_as, and a new one started.',
    causes: ['a full disk or a crash of the host', 'something else wrote into it'],
    next: 'Nothing for now: a new token is minted. Check the disk, and that no other program uses the path.',
  },
  clock_differs: {
    meaning:
      'The clock here and that of the token API differ by more than two seconds. The end of the token is corrected for that.',
    causes: ['this host does not synchronise its clock'],
    next: 'Turn on time synchronisation (NTP); ROTATE_SCHEDULE and the day of the budget follow the clock here.',
  },
  valid_till_unreadable: {
    meaning:
      'The token API gave an end of the token that cannot be read. The token is used, and not replaced before it expires.',
    causes: ['the token API changed its format'],
    next: 'Report it. Until it is fixed, ROTATE_SCHEDULE can replace the token at set times.',
  },
  ops_request_refused: {
    meaning: 'A request to the ops address came from somebody who may not make it; nothing was done.',
    causes: [
      'the request came from another host, through a proxy, or from a web page',
      'a script without the header x-sidecar-request: 1',
    ],
    next: 'Use token-sidecar rotate in the same pod or host. If that address should not reach OPS_LISTEN at all, block it.',
  },
  ops_listener_failed: {
    meaning: 'The ops address could not accept a connection; calls are not affected.',
    causes: ['no file descriptors are left'],
    next: 'Raise the limit of open files (ulimit -n), or lower MAX_CONNECTIONS.',
  },
  connections_full: {
    meaning:
      'As many callers as MAX_CONNECTIONS allows were connected. Idle connections made room for new ones; while all had calls under way, new ones waited, and were refused when no place became free.',
    causes: [
      'a client that opens a connection per call and leaves it open',
      'calls that take long: a slow business API, or bodies that trickle',
      'more load than MAX_CONNECTIONS was set for',
    ],
    next: 'Let the client reuse its connections. If waited or refused rise, raise MAX_CONNECTIONS, and memory and open files with it.',
  },
  log_lines_dropped: {
    meaning:
      'The reader of the log is too slow or has stopped, so lines were dropped; calls are not affected.',
    causes: ['ACCESS_LOG=all under high load', 'a log agent, a terminal or a pipe that stopped reading'],
    next: 'Fix the reader, or set ACCESS_LOG=errors.',
  },
  call_failed: { meaning: 'A bug in the sidecar ended a call.', causes: [], next: BUG },
  ops_request_failed: {
    meaning: 'A bug in the sidecar ended a request to the ops address; calls are not affected.',
    causes: [],
    next: BUG,
  },
  minter_failed: { meaning: 'A bug in the sidecar ended a request for a token.', causes: [], next: BUG },
} as const satisfies Record<string, AdviceEntry>
