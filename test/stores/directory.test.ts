import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeDirectory } from '../../proxy/stores/directory.ts'

describe('making the directory of a store', () => {
  let root: string
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'directory-'))
  })
  after(() => rm(root, { recursive: true }))

  it('makes what is missing above it too, for its own user alone', async () => {
    makeDirectory(join(root, 'a/b/c'))
    for (const made of ['a', 'a/b', 'a/b/c']) assert.equal((await stat(join(root, made))).mode & 0o777, 0o700)
  })

  it('takes a directory that exists as it is', async () => {
    await chmod(root, 0o755)
    makeDirectory(root)
    assert.equal((await stat(root)).mode & 0o777, 0o755)
  })

  it('fails where a plain file is, and below one', async () => {
    await writeFile(join(root, 'file'), '')
    assert.throws(() => makeDirectory(join(root, 'file')), { code: 'EEXIST' })
    assert.throws(() => makeDirectory(join(root, 'file/a/b')), { code: 'ENOTDIR' })
  })

  // In a process of its own: what this is about blocks the one it happens in.
  it('fails where the kernel makes no directories, rather than ask for ever', {
    skip: existsSync('/proc/self') ? false : 'there is no /proc here',
  }, () => {
    const module = new URL('../../proxy/stores/directory.ts', import.meta.url).href
    const code = `import(${JSON.stringify(module)}).then((m) => m.makeDirectory('/proc/nowhere/a')).catch((e) => console.log(e.code))`
    const { stdout, signal } = spawnSync(process.execPath, ['--import', 'tsx', '--eval', code], {
      encoding: 'utf8',
      // Only a process that hangs takes this long, on however busy a machine.
      timeout: 60_000,
      killSignal: 'SIGKILL',
    })
    assert.deepEqual({ stdout, signal }, { stdout: 'ENOENT\n', signal: null })
  })
})
