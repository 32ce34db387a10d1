import { setImmediate as turn } from 'node:timers/promises'

/** Exceptions and rejections that nobody caught: each would have ended the process. */
export class StrayErrors {
  readonly #caught: unknown[] = []
  readonly #note = (error: unknown): void => {
    this.#caught.push(error)
  }

  constructor() {
    process.on('uncaughtException', this.#note)
    process.on('unhandledRejection', this.#note)
  }

  /** Throws those that came since it was asked last. Rejections are told of one turn after they happen. */
  async expectNone(): Promise<void> {
    await turn()
    const caught = this.#caught.splice(0)
    if (caught.length > 0) throw new AggregateError(caught, 'would have ended the process')
  }

  stop(): void {
    process.off('uncaughtException', this.#note)
    process.off('unhandledRejection', this.#note)
  }
}
