import { cpus, release, totalmem } from 'node:os'
import { placement } from './child.ts'
import { loadGeneratorName } from './load/load.ts'

/** Where a result was measured. No host name, no path. */
export interface Machine {
  readonly processor: string
  readonly processors: number
  readonly memoryGb: number
  readonly kernel: string
  readonly node: string
  readonly load: string
  readonly upstream: string
  readonly placement: string
}

/** Describes this machine, and what stands on both sides of the contestants. */
export function thisMachine(upstream: string): Machine {
  const all = cpus()
  return {
    processor: (all[0]?.model ?? 'unknown processor').replace(/\s+/g, ' ').trim(),
    processors: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    load: loadGeneratorName,
    upstream,
    placement,
  }
}

/** A file name for results: what the machine is like, not what it is called. */
export function slug({ processor, processors, node }: Machine): string {
  const text = `${processor} ${processors}-core node ${node.split('.')[0]}`
  return text
    .toLowerCase()
    .replace(/\((?:r|tm)\)/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}
