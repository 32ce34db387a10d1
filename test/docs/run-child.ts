import { spawn } from 'node:child_process'

const PATIENCE_MS = 60_000

/** Runs a program to its end, while this process goes on serving it. It gets `env`, PATH and HOME and nothing else. */
export async function runChild(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd = process.cwd(),
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const { PATH, HOME } = process.env
  const child = spawn(program, args, { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
    })
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  }).finally(() => clearTimeout(timer))
  return { status, ...output }
}
