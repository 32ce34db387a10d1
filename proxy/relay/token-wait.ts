import type { HeldToken, TokenSource, Waiting } from '../token/source.ts'

/** What the call under way awaits of the token source. An answer that comes after the call has ended reaches nobody. */
export class TokenWait {
  /** Tells the calls of one connection apart. */
  #call = 0
  #abort: AbortController | null = null

  current(
    tokens: TokenSource,
    replayable: boolean,
    onToken: (token: HeldToken) => void,
    onError: (error: unknown) => void,
  ): void {
    const call = this.#call
    tokens.current(this.#waiting({ replayable })).then(
      (token) => {
        if (call === this.#call) onToken(token)
      },
      (error: unknown) => {
        if (call === this.#call) onError(error)
      },
    )
  }

  /** As `TokenSource.replace`; a failure counts as no replacement. */
  replacement(
    tokens: TokenSource,
    rejected: HeldToken,
    sentAt: number,
    about: Omit<Waiting, 'signal'>,
    onAnswer: (replacement: HeldToken | null) => void,
  ): void {
    const call = this.#call
    const answer = (replacement: HeldToken | null) => {
      if (call === this.#call) onAnswer(replacement)
    }
    tokens.replace(rejected, sentAt, this.#waiting(about)).then(answer, () => answer(null))
  }

  /** The call has ended; what it may still wait for is called off if its caller left. */
  end(callerLeft: boolean): void {
    this.#call++
    const abort = this.#abort
    if (abort === null) return
    this.#abort = null
    if (callerLeft) abort.abort()
  }

  #waiting(about: Omit<Waiting, 'signal'>): Waiting {
    this.#abort ??= new AbortController()
    return { ...about, signal: this.#abort.signal }
  }
}
