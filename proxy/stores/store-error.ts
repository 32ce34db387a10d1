/**
 * `lease_lost`: another process has taken over the right to mint. `lock_lost`: this process held the file lock for so long
 * that another one broke it; nothing was written. `file_refused`: what stands at the store's path is not a file that this
 * program may trust and replace.
 */
export type StoreErrorCode = 'lease_lost' | 'lock_lost' | 'file_refused'

/** Why a store did not do what it was asked, when it is not the system's own error (`ENOSPC`, `EACCES` and so on). */
export class StoreError extends Error {
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StoreError'
    this.code = code
  }
}

/** Whether an error, of the system or of a store, has this code. */
export function hasCode(error: unknown, code: NodeJS.ErrnoException['code'] | StoreErrorCode): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}
