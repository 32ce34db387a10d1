import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../proxy/lib/log.ts'
import { FileMedium } from '../../proxy/stores/file.ts'
import { harnessOf, tokenStoreContract } from './contract.ts'
import { PatientClock } from './disk.ts'

tokenStoreContract('file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'token-store-'))
  const path = join(directory, 'made', 'tokens.json')
  return harnessOf(
    (id) => new FileMedium({ path, id, clock: new PatientClock(), log: silentLog }),
    () => rm(directory, { recursive: true }),
  )
})
