import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { tempDir } from '../support/temp-dir.ts'

const FREE = /^(MIT|ISC|Apache-2\.0|BSD-[23]-Clause|0BSD)$/
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
const licences = readFileSync('dist/THIRD-PARTY-LICENSES.txt', 'utf8')
const bundled = [...licences.matchAll(/^(\S+) (\d\S*) \((.+)\)$/gm)].map(([, name, number, license]) => ({
  name: `${name}@${number}`,
  license: license as string,
}))

describe('what is released', () => {
  it('comes with the licences of all that is in the bundle, which allow it', () => {
    assert.ok(bundled.some(({ name }) => name.startsWith('express@')))
    for (const { name, license } of bundled) assert.match(license, FREE, name)
  })

  it('has everything of the bundle in its bill of materials, at the version of the lock file', () => {
    const { components } = JSON.parse(readFileSync('dist/sbom.cdx.json', 'utf8')) as {
      components: { name: string; version: string }[]
    }
    assert.deepEqual(
      components.map((component) => `${component.name}@${component.version}`),
      bundled.map(({ name }) => name),
    )
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string }>
    }
    for (const component of components) {
      const locked = Object.entries(packages).filter(([path]) =>
        path.endsWith(`node_modules/${component.name}`),
      )
      assert.ok(
        locked.some(([, entry]) => entry.version === component.version),
        component.name,
      )
    }
  })

  it('packs the bundle and the documents, and nothing else', () => {
    const text = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const files = (JSON.parse(text) as [{ files: { path: string }[] }])[0].files.map(({ path }) => path)
    for (const path of files) {
      assert.match(
        path,
        /^(dist\/(main|index|chunks\/[\w.-]+)\.js|dist\/types\/[\w/-]+\.d\.ts|dist\/THIRD-PARTY-LICENSES\.txt|dist\/sbom\.cdx\.json|docs\/[\w/-]+\.(md|svg|png)|docs\/examples\/[\w.-]+|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
      )
    }
    for (const path of [
      'dist/main.js',
      'dist/index.js',
      'dist/types/proxy/index.d.ts',
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/sbom.cdx.json',
      'README.md',
      'LICENSE',
    ]) {
      assert.ok(files.includes(path), path)
    }
  })

  it('says where its source is, without which npm refuses provenance', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
    const { repository } = parse(readFileSync('helm/token-sidecar/values.yaml', 'utf8')).image
    const source = String(repository).replace(/^ghcr\.io\//, 'https://github.com/')
    assert.deepEqual(manifest.repository, { type: 'git', url: `git+${source}.git` })
    assert.equal(manifest.homepage, `${source}#readme`)
    assert.deepEqual(manifest.bugs, { url: `${source}/issues` })
    assert.match(readFileSync('Dockerfile', 'utf8'), new RegExp(`^ARG SOURCE=${source}$`, 'm'))
  })

  it('is in the changelog', () => {
    assert.match(readFileSync('CHANGELOG.md', 'utf8'), new RegExp(`^## (Unreleased|${version})`, 'm'))
  })
})

describe('the released image', () => {
  it('is pushed under the name and tag that the chart and the manifests pull', () => {
    const { env, jobs } = parse(readFileSync('.github/workflows/release.yml', 'utf8'))
    const { steps } = jobs.image as Job
    const build = steps.findIndex(({ id }) => id === 'build')
    const file = join(tempDir(), 'github-env')
    const ran = spawnSync(
      'bash',
      [
        '-e',
        '-c',
        steps
          .slice(0, build)
          .flatMap(({ run = [] }) => run)
          .join('\n'),
      ],
      {
        env: { PATH: process.env['PATH'], GITHUB_ENV: file, GITHUB_REF_NAME: `v${version}` },
      },
    )
    assert.equal(ran.status, 0, String(ran.stderr))
    const values: Record<string, string> = {
      'github.repository_owner': 'token-sidecar',
      'github.ref_name': `v${version}`,
    }
    for (const [name, value] of Object.entries(env)) values[`env.${name}`] = String(value)
    for (const [, name, value = ''] of readFileSync(file, 'utf8').matchAll(/^(\w+)=(.*)$/gm)) {
      values[`env.${name}`] = value
    }
    let pushed = String(steps[build]?.with?.['tags'])
    while (pushed.includes('${{')) {
      pushed = pushed.replaceAll(/\$\{\{ (\S+) \}\}/g, (_, name: string) => values[name] ?? assert.fail(name))
    }
    const { repository } = parse(readFileSync('helm/token-sidecar/values.yaml', 'utf8')).image
    const { appVersion } = parse(readFileSync('helm/token-sidecar/Chart.yaml', 'utf8'))
    assert.equal(pushed, `${repository}:${appVersion}`)
    for (const path of ['helm/kustomize/sidecar.yaml', 'helm/plain/shop.yaml']) {
      assert.ok(readFileSync(path, 'utf8').includes(` image: ${pushed}\n`), path)
    }
  })
})

describe('the notes of a release', () => {
  const notes = (wanted: string, changelog: string) => {
    const file = join(tempDir(), 'CHANGELOG.md')
    writeFileSync(file, changelog)
    return spawnSync('scripts/release-notes.sh', [wanted, file], { encoding: 'utf8' })
  }
  const CHANGELOG = `# Changelog

## Unreleased

- Not yet.

## 1.10.0 - 2027-01-02

- Ten.

### Fixed

- More of ten.

## 1.1.0

- One.

## 1.0.0
`

  it('are the section of that version alone', () => {
    assert.equal(notes('1.10.0', CHANGELOG).stdout, '- Ten.\n\n### Fixed\n\n- More of ten.\n')
    assert.equal(notes('1.1.0', CHANGELOG).stdout, '- One.\n')
  })

  it('cannot be had of a version that has no section, or an empty one', () => {
    for (const wanted of ['1.2.0', '1.1', '1.1.', '1.0.0', '']) {
      const { status, stdout, stderr } = notes(wanted, CHANGELOG)
      assert.deepEqual([status, stdout], [1, ''], wanted)
      assert.match(stderr, /CHANGELOG\.md has no section "## /)
    }
  })

  it('are asked for before anything is pushed, and given to the release', () => {
    const { jobs } = parse(readFileSync('.github/workflows/release.yml', 'utf8'))
    const commands = (job: Job) => job.steps.map(({ run = '' }) => run).join('\n')
    const asks = /^scripts\/release-notes\.sh "\$\{GITHUB_REF_NAME#v\}" > (.+)$/m
    assert.match(commands(jobs.test), asks)
    assert.equal(asks.exec(commands(jobs.package))?.[1], '"$RUNNER_TEMP/notes.md"')
    assert.match(commands(jobs.package), /^gh release create .* --notes-file "\$RUNNER_TEMP\/notes\.md"/m)
    assert.deepEqual([jobs.image.needs, jobs.package.needs], ['test', 'test'])
  })
})

describe('the released chart', () => {
  it('names the image that was built, by digest', () => {
    const { jobs } = parse(readFileSync('.github/workflows/release.yml', 'utf8'))
    const script = (jobs.chart as Job).steps.map(({ run = '' }) => run).join('\n')
    const edit = /^sed -i .*$/m.exec(script)?.[0].replace('helm/token-sidecar/values.yaml', '"$FILE"')
    assert.ok(edit)
    const file = join(tempDir(), 'values.yaml')
    copyFileSync('helm/token-sidecar/values.yaml', file)
    const env = {
      PATH: process.env['PATH'],
      FILE: file,
      IMAGE: 'ghcr.io/somebody/token-sidecar',
      DIGEST: 'sha256:0123',
    }
    assert.equal(spawnSync('bash', ['-c', edit], { env }).status, 0)
    const before = parse(readFileSync('helm/token-sidecar/values.yaml', 'utf8'))
    const image = { ...before.image, repository: env.IMAGE, digest: env.DIGEST }
    assert.deepEqual(parse(readFileSync(file, 'utf8')), { ...before, image })
  })
})

const actionlint = process.env['ACTIONLINT'] ?? 'actionlint'
const actionlintSkip =
  spawnSync(actionlint, ['-version']).status === 0
    ? false
    : 'actionlint is not installed (ACTIONLINT or PATH)'

describe('the workflows', () => {
  it('satisfy actionlint', { skip: actionlintSkip }, () => {
    const { status, stdout } = spawnSync(actionlint, { encoding: 'utf8' })
    assert.equal(status, 0, stdout)
  })

  for (const file of readdirSync('.github/workflows')) {
    const workflow = parse(readFileSync(join('.github/workflows', file), 'utf8'))
    const jobs = Object.entries(workflow.jobs as Record<string, Job>)

    it(`${file}: has no right by default, and a time limit for each job`, () => {
      assert.deepEqual(workflow.permissions, {})
      for (const [name, job] of jobs) {
        assert.ok(job['timeout-minutes'] <= 30, name)
        assert.ok(Object.keys(job.permissions).length > 0, name)
      }
    })

    it(`${file}: names each action by a commit and keeps no credentials in the clone`, () => {
      for (const [, { steps }] of jobs) {
        for (const { uses, with: inputs } of steps) {
          if (uses === undefined) continue
          assert.match(uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/)
          if (uses.startsWith('actions/checkout@')) assert.equal(inputs?.['persist-credentials'], false)
        }
      }
    })

    it(`${file}: runs scripts that a shell can read, with no expression pasted in`, () => {
      for (const [, { steps }] of jobs) {
        for (const { run } of steps) {
          if (run === undefined) continue
          assert.doesNotMatch(run, /\$\{\{/, 'an expression in a script can be made to run anything')
          assert.equal(spawnSync('bash', ['-n', '-c', run]).status, 0, run)
        }
      }
    })

    it(`${file}: waits only for jobs that it has`, () => {
      for (const [, { needs = [] }] of jobs)
        for (const name of [needs].flat()) assert.ok(name in workflow.jobs)
    })
  }
})

interface Job {
  readonly 'timeout-minutes': number
  readonly permissions: Readonly<Record<string, string>>
  readonly needs?: string | readonly string[]
  readonly steps: readonly {
    readonly id?: string
    readonly uses?: string
    readonly run?: string
    readonly with?: Readonly<Record<string, unknown>>
  }[]
}
