/** The four things that one 401 of the token API may mean; it does not say which. */
export const SECRET_REJECTED_CAUSES = [
  'the secret is missing or cut: an empty or truncated file, a stray quotation mark',
  'it is wrong: of another environment (sandbox, production, region) or workspace than the token API in TOKEN_URL',
  'its API client was deleted',
  'the address that the token API sees this host under is not on the IP whitelist of the API client',
] as const

/** What to do about a token API that answers 401. */
export const SECRET_REJECTED_NEXT =
  'Compare the secret with the API client in Clear, and its IP whitelist with the address that token-sidecar check ' +
  'prints. A new secret in CLIENT_SECRET_FILE is tried at once, without a restart.'

/** Why the quota or the budget of a day runs out. */
export const MINTS_TOO_OFTEN = [
  'the process restarts often with TOKEN_STORE=memory:, which mints at every start',
  'replicas do not share one TOKEN_STORE, so they revoke each other',
  'somebody else mints with the secret: see foreign_mint',
  'REFRESH_LEAD is close to the life of the token, or ROTATE_SCHEDULE is dense',
] as const
