/** `npm run bench`: contestants side by side, each verified before it is timed. See README.md. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundlePrograms } from './bundle.ts'
import { makeCertificates } from './certificates.ts'
import type { Contestant } from './contestants/contestant.ts'
import { contestantsNamed } from './contestants/contestants.ts'
import { thisMachine } from './machine.ts'
import { assertedScenarios, type Options, OptionsError, readOptions, usage } from './options.ts'
import { cpuRatio, type Report, table } from './report.ts'
import type { Exclusion, Sample } from './results.ts'
import { scenarios } from './scenarios.ts'
import { type Surroundings, upstreamOf, verifyContestant, withContestant } from './session.ts'
import { startUpstream, type Upstream } from './upstream-process.ts'
import { writeResults } from './write-results.ts'

const RESULTS = 'bench/results'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(usage)
    return 0
  }
  try {
    return await bench(readOptions(args))
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error
    console.error(`${error.message}\n\n${usage}`)
    return 64
  }
}

async function bench(options: Options): Promise<number> {
  const build = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { stdio: 'inherit' })
  if (build.status !== 0) return 1
  const dir = mkdtempSync(join(tmpdir(), 'token-sidecar-bench-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  let upstream: Upstream | null = null
  try {
    const programs = join(dir, 'programs')
    const certificates = join(dir, 'certificates')
    mkdirSync(certificates)
    await bundlePrograms(programs)
    const hasTls = makeCertificates(certificates)
    const token = randomBytes(32).toString('hex')
    upstream = await startUpstream(programs, hasTls ? certificates : null, token, dir)
    const caFile = join(certificates, 'ca.pem')
    const around = { options, upstream: upstream.ports, token, caFile, programs, dir }
    return finish(options, await measureAll(around, upstream.name))
  } finally {
    await upstream?.stop()
  }
}

async function measureAll(around: Surroundings, upstreamName: string): Promise<Report> {
  const { options } = around
  const { entrants, exclusions } = await admit(around)
  const samples: Sample[] = []
  for (let round = 1; round <= options.rounds; round++) {
    for (const entrant of entrants) {
      console.log(`round ${round} of ${options.rounds}: ${entrant.contestant.name}`)
      for (const to of ['get', 'plain', 'getTls'] as const)
        await measureOne(entrant, to, round, around, samples, exclusions)
    }
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(upstreamName),
    settings: { rounds: options.rounds, seconds: options.seconds, ratePerS: options.ratePerS },
    contestants: entrants.map(({ contestant }) => ({
      name: contestant.name,
      version: contestant.version() ?? '',
    })),
    exclusions,
    samples,
  }
}

/** A contestant that passed, and the scenarios that it is timed in. */
interface Entrant {
  readonly contestant: Contestant
  readonly scenarios: Set<string>
}

/** Verifies every contestant, and leaves out those that fail, with the reason. */
async function admit(around: Surroundings): Promise<{ entrants: Entrant[]; exclusions: Exclusion[] }> {
  const { options, upstream } = around
  const exclusions: Exclusion[] = []
  const entrants: Entrant[] = []
  const leaveOut = (contestant: string, scenario: string | null, reason: string) => {
    exclusions.push({ contestant, scenario, reason })
    console.log(`left out: ${contestant}${scenario === null ? '' : `, ${scenario}`}: ${reason}`)
  }
  const tlsScenarios = namesOf('getTls')
  const offered = options.scenarios.filter((name) => upstream.tls !== 0 || !tlsScenarios.includes(name))
  for (const scenario of options.scenarios.filter((name) => !offered.includes(name)))
    leaveOut('everyone', scenario, 'openssl is not installed')
  for (const contestant of contestantsNamed(options.contestants)) {
    const { name } = contestant
    if (contestant.version() === null) {
      leaveOut(name, null, 'not installed')
      continue
    }
    const wrong = await verifyContestant(contestant, false, around)
    if (wrong !== null) {
      leaveOut(name, null, wrong)
      continue
    }
    const wanted = new Set(offered)
    const tlsWanted = tlsScenarios.filter((scenario) => wanted.has(scenario))
    const wrongTls = tlsWanted.length === 0 ? null : await verifyContestant(contestant, true, around)
    for (const scenario of wrongTls === null ? [] : tlsWanted) {
      wanted.delete(scenario)
      leaveOut(name, scenario, wrongTls ?? '')
    }
    entrants.push({ contestant, scenarios: wanted })
    console.log(`verified: ${name} ${contestant.version()}`)
  }
  return { entrants, exclusions }
}

/** Times one contestant in one round, in the scenarios of one upstream. What fails is left out from here on. */
async function measureOne(
  { contestant, scenarios: wanted }: Entrant,
  to: ReturnType<typeof upstreamOf>,
  round: number,
  around: Surroundings,
  samples: Sample[],
  exclusions: Exclusion[],
): Promise<void> {
  const names = namesOf(to).filter((name) => wanted.has(name))
  if (names.length === 0) return
  const { name } = contestant
  const leaveOut = (scenario: string, error: unknown) => {
    const reason = (error as Error).message
    wanted.delete(scenario)
    exclusions.push({ contestant: name, scenario, reason })
    console.log(`left out: ${name}, ${scenario}: ${reason}`)
  }
  try {
    await withContestant(contestant, to, around, async (run) => {
      for (const scenario of scenarios.filter((candidate) => names.includes(candidate.name))) {
        try {
          const metrics = await run(scenario)
          if (metrics !== null) samples.push({ contestant: name, scenario: scenario.name, round, metrics })
        } catch (error) {
          leaveOut(scenario.name, error)
        }
      }
    })
  } catch (error) {
    // It passed its verification and then did not start: its earlier rounds stand.
    for (const scenario of names) leaveOut(scenario, error)
  }
}

function namesOf(to: ReturnType<typeof upstreamOf>): readonly string[] {
  return scenarios.filter((scenario) => upstreamOf(scenario) === to).map(({ name }) => name)
}

function finish(options: Options, report: Report): number {
  for (const scenario of scenarios) {
    const text = table(report, scenario)
    if (text !== null) console.log(`\n${text}`)
  }
  if (options.write) console.log(`\nwritten to ${RESULTS}: ${writeResults(RESULTS, report).join(', ')}`)
  if (report.exclusions.some(({ contestant }) => contestant === 'token-sidecar')) {
    console.error('\ntoken-sidecar was left out')
    return 1
  }
  return options.assertRatio === null || holds(options.assertRatio, options, report) ? 0 : 1
}

function holds(least: number, options: Options, report: Report): boolean {
  return assertedScenarios
    .filter((scenario) => options.scenarios.includes(scenario))
    .map((scenario) => {
      const ratio = cpuRatio(report.samples, scenario, 'http-proxy', 'token-sidecar')
      const held = ratio !== null && ratio >= least
      console.log(
        `${scenario}: http-proxy costs ${ratio?.toFixed(2) ?? '?'} × token-sidecar, wanted ${least} ×: ${held ? 'held' : 'NOT HELD'}`,
      )
      return held
    })
    .every(Boolean)
}
