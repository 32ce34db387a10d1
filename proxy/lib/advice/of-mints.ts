import type { MintErrorCode } from '../errors.ts'
import type { AdviceEntry } from './entry.ts'
import { MINTS_TOO_OFTEN, SECRET_REJECTED_CAUSES, SECRET_REJECTED_NEXT } from './shared-causes.ts'

const LIVES = 'Nothing was minted: the token in use stays valid.'
const UNKNOWN = 'Whether a token was minted is unknown, so the one in use may be dead.'
const WAIT =
  'The sidecar tries again by itself after MINT_QUARANTINE, at growing pauses; meanwhile a rejected call waits.'

/** For a request to the token API that brought no token: the `code` of `mint_failed` and of `last_error`. */
export const mintAdvice = {
  mint_unreachable: {
    meaning: `The token API could not be reached. ${LIVES}`,
    causes: [
      'the host in TOKEN_URL does not resolve, or is wrong',
      'a firewall, a network policy or a missing route blocks this host',
      'TLS fails: a private authority (UPSTREAM_CA_FILE), an expired certificate, a certificate for another name, a wrong clock here',
      'the token API is down',
    ],
    next: 'Run token-sidecar check where the sidecar runs: it says which of name, connection and certificate fails.',
  },
  mint_secret_rejected: {
    meaning: `The token API answered 401. ${LIVES}`,
    causes: SECRET_REJECTED_CAUSES,
    next: SECRET_REJECTED_NEXT,
  },
  mint_quota_exhausted: {
    meaning: `The token API answered 429: the quota of this secret and UTC day is used up. ${LIVES}`,
    causes: MINTS_TOO_OFTEN,
    next: 'Stop whatever mints. No request is sent before 00:00 UTC, when the quota resets.',
  },
  mint_status: {
    meaning:
      'The token API answered with a status that is neither success nor one of its own refusals. With 3xx and 4xx nothing ' +
      'was minted; with 5xx that is unknown.',
    causes: [
      '5xx: the token API fails',
      "404 or 3xx: TOKEN_URL has another path or host than this region's token API",
      '403 or 407: something in between, such as a proxy or a firewall, answers in its place',
    ],
    next: 'For 5xx wait, and if it lasts give the error_id to Clear support; otherwise compare TOKEN_URL with the documentation of the product.',
  },
  mint_timeout: {
    meaning: `The token API did not answer within MINT_TIMEOUT. ${UNKNOWN}`,
    causes: ['the token API is slow', 'something in between swallows the answer'],
    next: WAIT,
  },
  mint_reset: {
    meaning: `The connection broke after the request was sent. ${UNKNOWN}`,
    causes: ['the token API, or something in between, restarted or gave up'],
    next: WAIT,
  },
  mint_garbage: {
    meaning: `The token API answered 200 without a token. ${UNKNOWN}`,
    causes: [
      'TOKEN_URL points to something else: a web page, a gateway that answers everything',
      'the answer was cut off or changed on the way',
      'the token API reports an error in a 200',
    ],
    next: 'Compare TOKEN_URL with the documentation of the product. Try it with curl only when no sidecar is in use: that mints.',
  },
  mint_internal: {
    meaning: `A bug in the sidecar ended the request. ${UNKNOWN}`,
    causes: [],
    next: 'Report it with the log line minter_failed; LOG_LEVEL=debug adds its stack.',
  },
} as const satisfies Record<MintErrorCode, AdviceEntry>
