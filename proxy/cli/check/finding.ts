/** One thing that was looked at. */
export interface Finding {
  /** `failed`: the sidecar cannot do its work with it. `warning`: it can, but somebody should know. */
  readonly result: 'ok' | 'warning' | 'failed'
  /** What was looked at: `configuration`, `token store`, `upstream https://api.clear.in`. */
  readonly subject: string
  /** What was found. Never a secret. */
  readonly found: string
  /** What to do about it; for what is not ok. */
  readonly todo?: string
}

/** Stable names of errors that checks meet, in words: what is wrong, and what to do. */
export type Explanation = readonly [found: string, todo: string]

/** The code of a system error, else its kind. */
export function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown }
  return typeof code === 'string' ? code : String(name)
}
