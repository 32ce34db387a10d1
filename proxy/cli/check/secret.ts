import { stat } from 'node:fs/promises'
import type { CredentialConfig } from '../../../config/config.ts'
import { codeOf, type Finding } from './finding.ts'

/** Shorter ones are placeholders, or were cut. */
const SHORTEST_LIKELY_CHARS = 8
const PLACEHOLDER = /^(change-?me|example|secret|password|placeholder|todo|x+|<.*>|\$\{.*\}|\{\{.*\}\})$/i

/** Where the client secret comes from, who else can read it, and whether it looks like one. */
export async function secretFindings({ name, secret, secretFile }: CredentialConfig): Promise<Finding[]> {
  const subject = `client secret of ${name}`
  const doubt = doubtAbout(secret)
  const found: Finding[] = []
  if (doubt !== null) {
    const todo = 'compare it with the secret that Clear showed when the API client was created'
    found.push({ result: 'warning', subject, found: doubt, todo })
  }
  if (secretFile === null)
    return [...found, { result: 'ok', subject, found: 'read from the environment, once, at the start' }]
  return [...found, await fileFinding(subject, secretFile)]
}

async function fileFinding(subject: string, path: string): Promise<Finding> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o004) !== 0) {
      const rights = (mode & 0o777).toString(8).padStart(3, '0')
      return {
        result: 'warning',
        subject,
        found: `${path} can be read by every user of this host (mode ${rights})`,
        todo: `chmod o-r ${path}; for a Kubernetes Secret set defaultMode: 0400 and fsGroup`,
      }
    }
    return { result: 'ok', subject, found: `${path}, checked every second` }
  } catch (error) {
    // It could be read a moment ago, when the configuration was loaded.
    return {
      result: 'failed',
      subject,
      found: `${path} is gone (${codeOf(error)})`,
      todo: 'put it back; a running sidecar goes on with the secret it has',
    }
  }
}

function doubtAbout(secret: CredentialConfig['secret']): string | null {
  // Judged without being revealed: what a check needs to know of it, the type tells.
  if (secret.length < SHORTEST_LIKELY_CHARS) return `has ${secret.length} characters only`
  if (secret.fits(/^(["']).*\1$/)) return 'stands in quotation marks, which are taken for a part of it'
  if (secret.fits(PLACEHOLDER)) return 'looks like a placeholder'
  if (secret.fits(/^bearer\b/i)) return 'begins with Bearer, which no client secret does'
  if (secret.fits(/^eyJ[\w-]+\.[\w-]+\./))
    return 'looks like an access token (a JWT), not like a client secret'
  return null
}
