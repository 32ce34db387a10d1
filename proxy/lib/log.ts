/** Values a log line may carry. A `Secret` is allowed and prints as `[redacted]`. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * Named events with fields, never sentences with values in them. info: the state of the token or the process changed;
 * warn: something failed and was recovered from; error: a person should act; debug: for whoever is looking for a fault.
 */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

/** Says nothing: for tests and for commands that answer on standard output. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
