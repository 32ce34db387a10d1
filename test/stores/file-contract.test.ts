import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { FileMedium } from '../../proxy/stores/file.ts'
import { harnessOf, tokenStoreContract } from './contract.ts'

tokenStoreContract('file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'token-store-'))
  const path = join(directory, 'made', 'tokens.json')
  return harnessOf(
    (id) => new FileMedium({ path, id, clock: systemClock, log: silentLog }),
    () => rm(directory, { recursive: true }),
  )
})
