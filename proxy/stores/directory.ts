import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { hasCode } from './store-error.ts'

/**
 * Makes a directory, and those above it that are missing, with mode 0700; one that exists is taken as it is. In one step
 * of its own for each, because Node's `recursive` asks for ever, and cannot be stopped, where the kernel answers ENOENT
 * although the parent is there, as it does below /proc. Throws the system's error.
 */
export function makeDirectory(path: string): void {
  try {
    make(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    makeDirectory(dirname(path))
    make(path)
  }
}

function make(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (!hasCode(error, 'EEXIST') || !statSync(path).isDirectory()) throw error
  }
}
