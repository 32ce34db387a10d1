/** One pattern of `ALLOW`, for example `GET /einv/**`. */
export interface AllowRule {
  /** Upper case, or `*` for any. */
  readonly method: string
  /** Path as the upstream will see it: `*` stands for one whole segment, `**` at the end for any rest. */
  readonly path: string
}
