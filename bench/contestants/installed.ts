import { spawnSync } from 'node:child_process'

/** What a program says about its version, or null when it is not on the PATH. The first group of `pattern` is the version. */
export function installedVersion(command: string, args: readonly string[], pattern: RegExp): string | null {
  const { error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (error !== undefined) return null
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown version'
}
