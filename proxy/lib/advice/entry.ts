/** What a person needs to know about one code. ASCII only, since answers carry it; plain text, never a value of this process. */
export interface AdviceEntry {
  /** What has happened, and what of it is well: one or two sentences. */
  readonly meaning: string
  /** Likely causes, the most likely first: phrases without a full stop. Empty where there is nothing to choose between. */
  readonly causes: readonly string[]
  /** What to do now: sentences. */
  readonly next: string
}
