import { runSandbox, SandboxStartError } from '../../sandbox/main.ts'
import { ExitError } from '../lib/errors.ts'
import type { Edge } from './edge.ts'

/** Runs the simulator of the Clear API until it is told to stop; its own flags are in `sandbox --help`. */
export async function run(edge: Edge, args: readonly string[]): Promise<void> {
  try {
    await runSandbox({ args, env: edge.env, stdout: { write: edge.out }, signal: edge.stopped })
  } catch (error) {
    if (error instanceof SandboxStartError) throw new ExitError(error.code, error.message, error)
    throw error
  }
}
