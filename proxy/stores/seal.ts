import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { Secret } from '../lib/secret.ts'
import type { Token } from '../token/token.ts'

/**
 * Seals tokens for a store with the client secret itself: every replica has it already, so there is no further key to
 * hand out, and a copy of the store is worth nothing without it.
 */
export interface Sealer {
  /** Name of the entry: differs for each pair of token API and secret, and reveals neither. */
  readonly entryKey: string
  seal(token: Token): string
  /** The token, or null when the text was not sealed with this secret for this generation, or was tampered with. */
  open(sealed: string, generation: number): Token | null
}

const FORMAT = 'v1'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** AES-256-GCM under a key derived by HKDF-SHA256 (RFC 5869); entry and generation are authenticated with the token. */
export function createSealer(secret: Secret, tokenUrl: URL): Sealer {
  const entryKey = createHmac('sha256', secret.reveal())
    .update(`token-sidecar entry ${tokenUrl.href}`)
    .digest('hex')
    .slice(0, 32)
  const key = Buffer.from(hkdfSync('sha256', secret.reveal(), entryKey, `token-sidecar seal ${FORMAT}`, 32))

  return {
    entryKey,
    seal(token) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(authenticated(entryKey, token.generation))
      const clear = JSON.stringify([token.value.reveal(), token.validTill, token.mintedAt])
      const sealed = Buffer.concat([nonce, cipher.update(clear, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${FORMAT}.${sealed.toString('base64url')}`
    },
    open(sealed, generation) {
      const [format, text, ...rest] = sealed.split('.')
      if (format !== FORMAT || text === undefined || rest.length > 0) return null
      const bytes = Buffer.from(text, 'base64url')
      // Decoding is lenient about spare bits and foreign characters; one sealing has one spelling.
      if (bytes.toString('base64url') !== text) return null
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return null
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(authenticated(entryKey, generation))
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        const clear = Buffer.concat([
          decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)),
          decipher.final(),
        ])
        const [value, validTill, mintedAt] = JSON.parse(clear.toString('utf8')) as [
          string,
          number | null,
          number,
        ]
        return { value: new Secret(value), validTill, mintedAt, generation }
      } catch {
        return null
      }
    },
  }
}

function authenticated(entryKey: string, generation: number): Buffer {
  return Buffer.from(`${entryKey}|${generation}`)
}
