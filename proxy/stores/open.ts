import type { Clock } from '../lib/clock.ts'
import { ExitError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { EntryMedium } from './entry.ts'
import { FileMedium } from './file.ts'
import { MemoryMedium } from './memory.ts'

/** Which engine, and where. */
export type StoreChoice =
  | { readonly kind: 'memory' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'redis' }
  | { readonly kind: 'kubernetes' }

export interface OpenParts {
  readonly clock: Clock
  readonly log: Log
  /** Names this process among those that share the store. */
  readonly id: string
}

/** The only switch on the engine's name. Throws `ExitError` `config_invalid` for an engine this version does not have. */
export function openMedium(choice: StoreChoice, parts: OpenParts): EntryMedium {
  switch (choice.kind) {
    case 'memory':
      return new MemoryMedium()
    case 'file':
      return new FileMedium({ path: choice.path, ...parts })
    default:
      throw new ExitError(
        'config_invalid',
        `TOKEN_STORE: this version has no ${choice.kind} engine; use file: or memory:`,
      )
  }
}
