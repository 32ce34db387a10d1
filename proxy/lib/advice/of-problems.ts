import type { ProblemCode } from '../errors.ts'
import type { AdviceEntry } from './entry.ts'
import { MINTS_TOO_OFTEN, SECRET_REJECTED_CAUSES, SECRET_REJECTED_NEXT } from './shared-causes.ts'

/** For a person who sees one of the sidecar's own answers. */
export const problemAdvice = {
  request_invalid: {
    meaning: 'This is not an HTTP/1.1 request that every server reads the same way. Nothing was forwarded.',
    causes: [
      'the app uses the sidecar as its HTTP proxy (CONNECT, or a whole URL as the target) and not as its base URL',
      'the app used https for the plain http address',
      'the path contains ".." or an invalid escape',
      'the client library sends an ambiguous length: Content-Length with Transfer-Encoding, or leading zeros',
      'the Host field is missing, sent twice, or not a host name',
    ],
    next: 'Use the http:// address of the sidecar as the base URL of the app, and check what its client library sends.',
  },
  request_forbidden: {
    meaning: 'The sidecar does not forward this call.',
    causes: [
      "the path is that of the token API: an app that could call it would revoke everybody's token",
      'the name in Host is not in ALLOWED_HOSTS',
      'x-sidecar-key is missing or is not one of CALLER_KEY',
      'ALLOW does not list the method and path, or the method is TRACE',
      'ALLOW is set, and the path hides a slash (%2f, also encoded twice) or a field overrides method or path (X-HTTP-Method-Override, X-Original-URL): the list could not say what the upstream makes of it',
      'the call comes from a web page of another site',
    ],
    next: 'The app needs no token: let it call only the business API. Otherwise add its Host name to ALLOWED_HOSTS, send the key, or extend ALLOW.',
  },
  route_not_found: {
    meaning: 'This path does not begin with the prefix of any route.',
    causes: ['the prefix is misspelled in the base URL of the app', 'the route is missing in ROUTES'],
    next: 'Compare the path with the prefixes that token-sidecar status lists; prefixes match whole segments.',
  },
  request_timeout: {
    meaning: 'The request, or the rest of its body, did not arrive in time.',
    causes: ['the app stopped while it was sending', 'its Content-Length is larger than the body it sends'],
    next: 'Check the app: the sidecar could only wait for it.',
  },
  request_too_large: {
    meaning: 'The head of the request is larger than MAX_HEADER_BYTES.',
    causes: ['large cookies or header fields that grow with each hop', 'a query that belongs in a body'],
    next: 'Send less, or raise MAX_HEADER_BYTES.',
  },
  upstream_unreachable: {
    meaning:
      'The business API could not be reached; or the connection broke before an answer, and the call may have taken effect.',
    causes: [
      'the host in UPSTREAM_URL does not resolve, or is wrong',
      'a firewall, a network policy or a missing route blocks this host',
      'TLS fails: a private authority (UPSTREAM_CA_FILE), an expired certificate, a certificate for another name',
      'the business API is down',
    ],
    next: 'Run token-sidecar check where the sidecar runs: it says which of name, connection and certificate fails.',
  },
  upstream_protocol_error: {
    meaning: 'The business API answered with something that is not HTTP/1.1, or broke off in the middle.',
    causes: [
      'UPSTREAM_URL names a port with another protocol, or http where the server expects https',
      'something in between cut the connection',
    ],
    next: 'Try the same URL with curl -v from where the sidecar runs. The call may have taken effect.',
  },
  upstream_timeout: {
    meaning: 'The business API was silent for UPSTREAM_TIMEOUT. The call may have taken effect.',
    causes: [
      'the business API is slow or overloaded',
      'the call asks for more than the API can do in that time',
    ],
    next: 'Find out whether the call took effect before you send it again; raise UPSTREAM_TIMEOUT if such calls take longer.',
  },
  token_unavailable: {
    meaning: 'The sidecar could not get a usable access token within HOLD_TIMEOUT.',
    causes: [
      'the token API fails or cannot be reached: see the code of the last error in token-sidecar status',
      'the token store cannot be reached, and nobody mints without it',
      'the sidecar has just started',
    ],
    next: 'Run token-sidecar status and follow the code of the last error. The call was not sent: it is safe to repeat.',
  },
  secret_rejected: {
    meaning: 'The token API answers 401 to the client secret and no usable token is left.',
    causes: SECRET_REJECTED_CAUSES,
    next: SECRET_REJECTED_NEXT,
  },
  mint_budget_exhausted: {
    meaning:
      'The token requests of this UTC day are used up (MINT_DAILY_BUDGET, or the quota of 288 at Clear), or only the last quarter is left, which is spread over the rest of the day; and no usable token is left.',
    causes: MINTS_TOO_OFTEN,
    next: 'Stop whatever mints. token-sidecar rotate still works while Clear allows it; the budget resets at 00:00 UTC.',
  },
  shutting_down: {
    meaning: 'The sidecar was told to stop; calls under way may finish, new ones are refused.',
    causes: ['a rolling update or a scale-down', 'the app outlives its sidecar'],
    next: 'Send the call again, to another replica or when the sidecar is back. In Kubernetes a native sidecar outlives the app.',
  },
  internal_error: {
    meaning: 'A bug in the sidecar.',
    causes: [],
    next: 'Report it with the log line call_failed of that moment; LOG_LEVEL=debug adds its stack.',
  },
} as const satisfies Record<ProblemCode, AdviceEntry>
