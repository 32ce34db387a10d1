import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it, type TestContext } from 'node:test'
import { commands } from '../../proxy/cli/commands.ts'
import { runProgram } from '../support/sidecar-process-program.ts'

const names = Object.keys(commands)

async function script(test: TestContext, shell: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram(test, ['completion', shell])
  assert.equal(code, 0, stderr)
  return stdout
}

const lacks = (shell: string) =>
  spawnSync(shell, ['-c', 'exit 0']).status === 0 ? false : `${shell} is not installed`

function ran(shell: string, args: readonly string[], input: string): string {
  const { status, stdout, stderr } = spawnSync(shell, args, { input, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  return stdout
}

describe('the completion', { concurrency: 2 }, () => {
  it('of bash offers commands, options and words, as far as they are typed', {
    skip: lacks('bash'),
  }, async (test) => {
    const source = await script(test, 'bash')
    ran('bash', ['-n'], source)
    const offered = (...words: string[]) => {
      const line = words.map((word) => `'${word}'`).join(' ')
      const ask = `COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _token_sidecar; echo "\${COMPREPLY[@]}"`
      return ran('bash', [], `${source}\n${ask}\n`).trim().split(/\s+/)
    }
    assert.deepEqual(offered('token-sidecar', ''), [...names, '--help', '--version'])
    assert.deepEqual(offered('token-sidecar', 'che'), ['check'])
    assert.deepEqual(offered('token-sidecar', 'check', '--c'), ['--config-only'])
    assert.deepEqual(offered('token-sidecar', 'completion', 'z'), ['zsh'])
    assert.deepEqual(offered('token-sidecar', 'wait', '--timeout', '6'), [''], 'no word stands for a time')
    for (const name of names) assert.ok(offered('token-sidecar', name, '--').includes('--help'), name)
  })

  it('of zsh is a script that zsh reads', { skip: lacks('zsh') }, async (test) => {
    const source = await script(test, 'zsh')
    assert.match(source, /^#compdef token-sidecar\n/)
    ran('zsh', ['-n'], source)
  })

  it('of fish offers commands and options', { skip: lacks('fish') }, async (test) => {
    const source = await script(test, 'fish')
    const offered = (line: string) =>
      ran('fish', ['-N', '-c', `${source}\ncomplete -C '${line}'`], '')
        .trim()
        .split('\n')
        .map((found) => found.split('\t')[0])
    assert.deepEqual(offered('token-sidecar check --'), ['--config-only', '--help', '--json', '--version'])
    assert.deepEqual(offered('token-sidecar completion '), ['bash', 'fish', 'zsh'])
  })

  it('knows the flags of the sandbox, which explains them itself', async (test) => {
    const { stdout } = await runProgram(test, ['sandbox', '--help'])
    const flags = [...stdout.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag]) => flag)
    assert.deepEqual(flags, [...Object.keys(commands.sandbox.options), 'help'])
  })
})
