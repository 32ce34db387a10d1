import type { Log } from '../lib/log.ts'
import { Secret } from '../lib/secret.ts'

export interface SecretFileParts {
  readonly path: string
  readonly current: Secret
  readonly readFile: (path: string) => Promise<string>
  readonly log: Log
  readonly changed: (secret: Secret) => void
}

/**
 * Notices when the file of a secret has another content. It is read each time rather than watched: a Kubernetes volume
 * changes by swapping a symlink far above the file, which no file watch reports, and reading a few bytes costs nothing.
 */
export class SecretFile {
  readonly #parts: SecretFileParts
  #current: Secret
  #failing = false
  /** Fingerprint of the content that was last told of as no secret. */
  #invalid: string | null = null
  #checking: Promise<void> | null = null

  constructor(parts: SecretFileParts) {
    this.#parts = parts
    this.#current = parts.current
  }

  /**
   * Reads the file once. A file that is missing or empty for a moment changes nothing. A read that takes longer than the
   * next check is waited for: of two reads under way the older content could come last.
   */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = null
    })
    return this.#checking
  }

  async #check(): Promise<void> {
    const { path, readFile, log, changed } = this.#parts
    let text: string
    try {
      text = (await readFile(path)).trim()
    } catch (error) {
      if (!this.#failing) log.warn('secret_file_unreadable', { path, error })
      this.#failing = true
      return
    }
    this.#failing = false
    if (text === '' || this.#current.matches(text)) return
    const secret = new Secret(text)
    if (!/^[\x21-\x7e]+$/.test(text)) {
      if (this.#invalid !== secret.fingerprint()) log.error('secret_file_invalid', { path })
      this.#invalid = secret.fingerprint()
      return
    }
    this.#invalid = null
    this.#current = secret
    changed(secret)
  }
}
