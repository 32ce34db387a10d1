import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from '../support/temp-dir.ts'

/** npm asks no registry, not even for a newer npm. */
const quietNpm = { npm_config_offline: 'true', npm_config_update_notifier: 'false' }

/**
 * A folder in which the packed package is installed, as its users do, without a network: it needs nothing but itself. dist/ is
 * built before the tests.
 */
export function installedPackage(): string {
  const folder = tempDir()
  const packed = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], process.cwd())
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }')
  npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', `./${filename}`], folder)
  return folder
}

/** Runs a program in the folder, with an environment that names none of our settings. */
export function runIn(folder: string, program: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env['PATH'], HOME: folder, ...quietNpm },
  })
  return { status, stdout, stderr }
}

function npm(args: readonly string[], cwd: string): string {
  const env = { ...process.env, ...quietNpm }
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
