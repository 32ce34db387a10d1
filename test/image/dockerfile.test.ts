import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

const text = readFileSync('Dockerfile', 'utf8')
const instructions = text
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line))
const runtime = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')))

function argumentOf(instruction: string): string {
  const found = runtime.find((line) => line.startsWith(`${instruction} `))
  assert.ok(found, `the runtime stage has no ${instruction}`)
  return found.slice(instruction.length + 1)
}

describe('the Dockerfile', () => {
  it('takes both base images as arguments, so that they can be pinned by digest', () => {
    for (const from of instructions.filter((line) => line.startsWith('FROM '))) {
      const name = /^FROM (?:--platform=\S+ )?\$\{(\w+)\}/.exec(from)?.[1]
      assert.ok(
        instructions.some((line) => line.startsWith(`ARG ${name}=`)),
        from,
      )
    }
  })

  it('runs nothing in the runtime stage, which may have no shell', () => {
    assert.deepEqual(
      runtime.filter((line) => /^(RUN|ADD|SHELL|HEALTHCHECK|VOLUME) /.test(line)),
      [],
    )
  })

  it('starts Node without a shell, as a user by number', () => {
    const command = JSON.parse(argumentOf('ENTRYPOINT')) as string[]
    assert.equal(command[0], '/nodejs/bin/node')
    assert.deepEqual(JSON.parse(argumentOf('CMD')), ['serve'])
    assert.match(argumentOf('USER'), /^[1-9]\d*:[1-9]\d*$/)
  })

  it('says the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    assert.equal(argumentOf('ARG'), `VERSION=${version}`)
  })

  it('links the image to its source, which a fork can replace', () => {
    assert.ok(runtime.some((line) => line.startsWith('ARG SOURCE=https://')))
    assert.match(argumentOf('LABEL'), /\borg\.opencontainers\.image\.source="\$\{SOURCE\}"/)
  })

  it('is sent all that it copies, and nothing else', () => {
    const sent = readFileSync('.dockerignore', 'utf8').match(/(?<=^!).+$/gm)
    const copied = instructions
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1))
    assert.deepEqual([...(sent ?? [])].sort(), [...copied].sort())
  })
})
