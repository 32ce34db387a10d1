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

  constructor(parts: SecretFileParts) {
    this.#parts = parts
    this.#current = parts.current
  }

  /** Reads the file once. A file that is missing or empty for a moment changes nothing. */
  async check(): Promise<void> {
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
    if (!/^[\x21-\x7e]+$/.test(text)) {
      log.error('secret_file_invalid', { path })
      return
    }
    this.#current = new Secret(text)
    changed(this.#current)
  }
}
