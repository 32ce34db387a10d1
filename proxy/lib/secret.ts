import { createHash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/**
 * A value that must never be printed: client secret, access token, caller key. Turning it into text, JSON or a
 * debugger's view gives `[redacted]`; only `reveal()` gives the value, and a test lists the files that may call it.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Called where it leaves the process and nowhere else: token API request, injected header, seal. */
  reveal(): string {
    return this.#value
  }

  get length(): number {
    return this.#value.length
  }

  /** Whether the value has this form, for advice about one that looks wrong. */
  fits(form: RegExp): boolean {
    return form.test(this.#value)
  }

  /** First 8 hex digits of the SHA-256: tells two secrets apart in a log without giving either away. */
  fingerprint(): string {
    return createHash('sha256').update(this.#value).digest('hex').slice(0, 8)
  }

  /** Whether `candidate` is this value, in time that does not depend on where they differ. */
  matches(candidate: string): boolean {
    // Hashing first gives equal lengths, which timingSafeEqual needs and which hides the length as well.
    const own = createHash('sha256').update(this.#value).digest()
    return timingSafeEqual(own, createHash('sha256').update(candidate).digest())
  }

  /** Whether both hold the same value. */
  equals(other: Secret): boolean {
    return this.matches(other.#value)
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
