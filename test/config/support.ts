import assert from 'node:assert/strict'
import { ConfigError } from '../../config/config-error.ts'
import { loadConfig } from '../../config/load.ts'

/** The least that a configuration needs. */
export const MINIMAL = { CLIENT_SECRET: 'the-client-secret', UPSTREAM_URL: 'https://api.clear.in' }

/** Reads from `files` and fails like the file system for everything else. */
export function fakeFiles(files: Record<string, string> = {}): (path: string) => string {
  return (path) => {
    const content = files[path]
    if (content === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' })
    return content
  }
}

type Variables = Record<string, string | undefined>

/** Loads `MINIMAL` with `env` on top; undefined takes a variable away. */
export function load(env: Variables = {}, files: Record<string, string> = {}, homeDir = '/home/app') {
  return loadConfig({ env: { ...MINIMAL, ...env }, readFile: fakeFiles(files), homeDir })
}

/** The error that loading the same ends with. */
export function failure(
  env: Variables,
  files: Record<string, string> = {},
  homeDir = '/home/app',
): ConfigError {
  try {
    load(env, files, homeDir)
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${error}`)
    return error
  }
  assert.fail('the configuration was accepted')
}

/** Names of the variables with a problem, in the order of the report. */
export function variablesWithProblem(env: Variables, files: Record<string, string> = {}): string[] {
  return failure(env, files).problems.map(({ variable }) => variable)
}
