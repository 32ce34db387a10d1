/**
 * Fuzzes for minutes or days: each fuzzer in turn, with new inputs each time. The first failure ends it with exit code 1,
 * the input made as small as it can be, and the command that shows it again. Without `--seed` every run is another one.
 *
 *     tsx scripts/fuzz.ts --minutes 30 --seed 7 --only exchange
 */
import { fuzzers } from '../test/fuzz/fuzzers.ts'
import type { Fuzzer } from '../test/fuzz/target.ts'
import { misused, readFlags } from './flags.ts'

const usage = `usage: fuzz [--minutes N] [--seed N] [--only NAME]
names: ${fuzzers.map(({ name }) => name).join(', ')}`
const flags = readFlags(usage, {
  minutes: { type: 'string', default: '1' },
  seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  only: { type: 'string' },
})
const minutes = Number(flags.minutes)
const seed = Number(flags.seed)
const chosen = fuzzers.filter(({ name }) => flags.only === undefined || name === flags.only)
if (!(minutes > 0) || !Number.isInteger(seed) || seed < 0 || chosen.length === 0) misused(usage)

/** One turn of a fuzzer tries as many inputs as a test does: that takes a few seconds. */
const runs = new Map<string, number>()
const stop = AbortSignal.timeout(minutes * 60_000)
const began = performance.now()
console.log(`seed ${seed}, ${minutes} minutes, ${chosen.map(({ name }) => name).join(', ')}`)
let failed = false
for (let round = 0; !stop.aborted && !failed; round++) {
  for (const fuzzer of chosen) {
    if (stop.aborted || failed) break
    failed = await takeTurn(fuzzer, (seed + round) % 2 ** 31)
  }
}
const seconds = (performance.now() - began) / 1_000
for (const [name, count] of runs) console.log(`${name.padEnd(16)} ${String(count).padStart(10)} runs`)
console.log(failed ? 'FAILED' : `nothing found in ${seconds.toFixed(0)} s`)
process.exit(failed ? 1 : 0)

/** Whether it failed. */
async function takeTurn(fuzzer: Fuzzer, turnSeed: number): Promise<boolean> {
  const outcome = await fuzzer.fuzz(turnSeed, fuzzer.testRuns, stop)
  runs.set(fuzzer.name, (runs.get(fuzzer.name) ?? 0) + outcome.runs)
  if (outcome.failure === null) return false
  console.log(`\n${fuzzer.name} failed with seed ${turnSeed}:\n${outcome.failure}`)
  console.log(`\nagain: npm run fuzz -- --only ${fuzzer.name} --seed ${turnSeed}\n`)
  return true
}
