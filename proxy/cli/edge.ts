import type { Runtime } from '../ops/metric-families.ts'

/** The process as a command sees it; main.ts makes it of the real one, tests of what they like. */
export interface Edge {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly homeDir: string
  /** Takes variables out of the process's environment once they were read: what dumps it later has nothing to show. */
  readonly forget: (variables: readonly string[]) => void
  /** Writes as it comes; never throws or waits when the reader is gone or slow. False: the text was dropped. */
  readonly out: (text: string) => boolean
  readonly err: (text: string) => boolean
  /** Standard output is a terminal, and colours are welcome there. */
  readonly outHasColour: boolean
  /** Aborts at the first SIGTERM or SIGINT. A second one ends the process at once. */
  readonly stopped: AbortSignal
  readonly version: string
  readonly runtime: Runtime
}
