import { systemClock } from '../../proxy/lib/clock.ts'
import { silentLog } from '../../proxy/lib/log.ts'
import { FileMedium } from '../../proxy/stores/file.ts'
import { hasCode } from '../../proxy/stores/store-error.ts'

/** A process that adds one to the epoch of an entry, `times` times, and prints a dot for each that was acknowledged. */
const [path = '', id = '', times = '0'] = process.argv.slice(2)
const medium = new FileMedium({ path, id, clock: systemClock, log: silentLog })
for (let time = 0; time < Number(times); time++) {
  while (!(await add()));
  process.stdout.write('.')
}
await medium.close()

/** False when this process was too slow, as on a busy machine it may be, and so changed nothing. */
async function add(): Promise<boolean> {
  try {
    await medium.update('key', (entry) => ({ ...entry, epoch: entry.epoch + 1 }), AbortSignal.timeout(10_000))
    return true
  } catch (error) {
    if (hasCode(error, 'lock_lost')) return false
    throw error
  }
}
