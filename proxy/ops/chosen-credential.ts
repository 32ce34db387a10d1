import type { Request } from 'express'
import type { CredentialStatus } from '../token/status.ts'
import type { OpsProblem } from './problem.ts'

/** Which credential a request means, or what is wrong with it. */
export type Choice = { readonly name: string } | { readonly problem: OpsProblem }

/** The one that is named in the body or the query, else the only one there is. */
export function chosenCredential(
  request: Pick<Request, 'body' | 'url'>,
  credentials: readonly CredentialStatus[],
): Choice {
  const known = credentials.map(({ name }) => name)
  const named = namedCredential(request)
  if (typeof named === 'string' && known.includes(named)) return { name: named }
  if (typeof named === 'string') {
    const detail = 'No credential has that name.'
    return { problem: { status: 404, code: 'credential_unknown', detail, members: { credentials: known } } }
  }
  if (named !== undefined) {
    const detail = 'The body must be a JSON object such as {"credential":"default"}, or empty.'
    return { problem: { status: 400, code: 'request_invalid', detail } }
  }
  const [only] = known
  if (only !== undefined && known.length === 1) return { name: only }
  const detail = 'There are several credentials: name one as ?credential=NAME, or with --credential NAME.'
  return { problem: { status: 400, code: 'credential_required', detail, members: { credentials: known } } }
}

/** Undefined when none is named; what is neither that nor text is no name. */
function namedCredential({ body, url }: Pick<Request, 'body' | 'url'>): unknown {
  if (body !== undefined) {
    if (body === null || typeof body !== 'object' || Array.isArray(body)) return null
    const { credential } = body as { readonly credential?: unknown }
    if (credential !== undefined) return credential
  }
  const query = url.indexOf('?')
  return query === -1 ? undefined : (new URLSearchParams(url.slice(query)).get('credential') ?? undefined)
}
