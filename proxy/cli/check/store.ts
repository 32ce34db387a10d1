import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Config, CredentialConfig, StoreConfig } from '../../../config/config.ts'
import { systemClock } from '../../lib/clock.ts'
import { ExitError } from '../../lib/errors.ts'
import { silentLog } from '../../lib/log.ts'
import { openMedium } from '../../stores/open.ts'
import { createSealer } from '../../stores/seal.ts'
import { EntryTokenStore } from '../../stores/token-store.ts'
import { codeOf, type Finding } from './finding.ts'

/** Whether the store of a credential's token can be read and written, and what it holds. */
export async function storeFinding(
  { store: choice }: Config,
  credential: CredentialConfig,
  signal: AbortSignal,
): Promise<Finding> {
  const subject = `token store ${placeOf(choice)} for ${credential.name}`
  if (choice.kind === 'memory') {
    return {
      result: 'ok',
      subject,
      found: 'forgotten at each end; with a second replica, or restarts, name a shared one',
    }
  }
  try {
    const medium = await openMedium(choice, {
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      id: randomUUID(),
      readFile: (path) => readFile(path, 'utf8'),
    })
    try {
      const sealer = createSealer(credential.secret, credential.tokenUrl)
      const { token } = await new EntryTokenStore(medium, sealer, systemClock, randomUUID()).read(signal)
      // Touches the entry without changing it: tells whether it could be written.
      await medium.update(sealer.entryKey, () => null, signal)
      const held = token === null ? 'holds no token yet' : `holds generation ${token.generation}`
      return { result: 'ok', subject, found: `${held}, can be written` }
    } finally {
      await medium.close()
    }
  } catch (error) {
    const why = error instanceof ExitError ? error.message : codeOf(error)
    return { result: 'failed', subject, found: why, todo: TODOS[choice.kind] }
  }
}

/** Without a password. */
function placeOf(store: StoreConfig): string {
  switch (store.kind) {
    case 'memory':
      return 'memory:'
    case 'file':
      return `file:${store.path}`
    case 'redis':
      return store.display
    case 'kubernetes':
      return `kubernetes:${store.namespace ?? ''}/${store.name}`
  }
}

const TODOS = {
  file: 'let the user of the sidecar write into the directory of TOKEN_STORE (its parts are made when missing), on a disk with room, or name another path',
  redis:
    'compare host, port, password and TLS (rediss://) in TOKEN_STORE with the server; its user needs the commands and channel that docs/operations.md lists',
  kubernetes:
    'create the Secret that TOKEN_STORE names, empty, and give the service account get, watch and patch on that one name; the chart does both',
} as const
