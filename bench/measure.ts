import { readdirSync, readFileSync } from 'node:fs'

/** Memory of a process and its descendants, in bytes. */
export interface Memory {
  /** Resident, shared pages counted in each process that has them. */
  readonly rss: number
  /** Resident, shared pages divided among those that share them. */
  readonly pss: number
  /** Resident and private by nature: heap and stacks, no program text. */
  readonly anonymous: number
}

/** A clock tick of /proc/PID/stat: USER_HZ is 100 on every architecture that Node runs on. */
const TICK_NS = 10_000_000

/** Processor time that a process and its descendants used so far, all threads, user and system, in nanoseconds. */
export function cpuNs(pid: number): number {
  return processTree(pid).reduce((sum, id) => sum + processCpuNs(id), 0)
}

/** Memory now. Walking the page tables holds the process up for a moment, so not while it is timed. */
export function memory(pid: number): Memory {
  return processTree(pid)
    .map((id) => parseRollup(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8')))
    .reduce((sum, { rss, pss, anonymous }) => ({
      rss: sum.rss + rss,
      pss: sum.pss + pss,
      anonymous: sum.anonymous + anonymous,
    }))
}

/** Reads /proc/PID/task/TID/schedstat: nanoseconds on a processor, nanoseconds waiting, time slices. */
export function parseSchedstat(text: string): number {
  const runNs = Number(text.split(' ')[0])
  if (!Number.isFinite(runNs) || text.trim() === '') throw new Error(`schedstat is not understood: ${text}`)
  return runNs
}

/** Reads utime + stime of /proc/PID/stat, in nanoseconds. The name, in parentheses, may itself hold spaces and parentheses. */
export function parseStat(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  if (!Number.isFinite(ticks)) throw new Error(`stat is not understood: ${text}`)
  return ticks * TICK_NS
}

/** Reads /proc/PID/smaps_rollup. */
export function parseRollup(text: string): Memory {
  const bytes = (name: string) => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]
    if (kib === undefined) throw new Error(`smaps_rollup has no ${name}`)
    return Number(kib) * 1024
  }
  return { rss: bytes('Rss'), pss: bytes('Pss'), anonymous: bytes('Anonymous') }
}

function processTree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter((id) => id.trim() !== ''),
  )
  return [pid, ...children.flatMap((child) => processTree(Number(child)))]
}

/** schedstat counts nanoseconds; stat counts ticks of 10 ms and serves where the kernel has no schedstat. */
function processCpuNs(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((thread) => parseSchedstat(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')))
      .reduce((sum, runNs) => sum + runNs, 0)
  } catch {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  }
}
