import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly license?: string
  readonly link?: true
  readonly hasInstallScript?: true
  readonly resolved?: string
}

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly [other: string]: unknown
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  readonly lockfileVersion: number
  readonly packages: Readonly<Record<string, Locked & Pick<Manifest, 'devDependencies'>>>
}
const { '': root, ...locked } = lock.packages
const packages = Object.entries(locked)

/** Licences that ask for no more than to be named. */
const LICENCES = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'Zlib']

const workflow = (name: string) => parse(readFileSync(`.github/workflows/${name}.yml`, 'utf8'))

/** What a job runs and uses, step by step. */
function stepsOf(name: string, job: string): string[] {
  const steps = workflow(name).jobs[job].steps as { readonly run?: string; readonly uses?: string }[]
  return steps.map(({ run, uses }) => run ?? uses ?? '')
}

/** Packages, Node's own apart, that the sources in these folders import. */
function importedBy(...folders: string[]): string[] {
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  )
  const names = files.flatMap((text) => [
    ...text.matchAll(/(?:from|import\()\s*'((?:@[\w-]+\/)?[a-z][\w-]*)(?=['/])/g),
  ])
  return [...new Set(names.map(([, name = '']) => name))].sort()
}

/** Packages of other licences, and why these do no harm. */
const REASONED: ReadonlyMap<string, string> = new Map([
  [
    'axe-core',
    'MPL-2.0 asks that changes of its own files are published; it is used as it is, in tests, and never shipped',
  ],
])

describe('the supply chain', () => {
  it('brings no package along when it is installed, and few in its bundle', () => {
    for (const name of [
      'dependencies',
      'optionalDependencies',
      'peerDependencies',
      'bundleDependencies',
      'overrides',
    ]) {
      assert.equal(manifest[name], undefined, name)
    }
    // What the product itself names; docs/decisions tells why each is there.
    assert.deepEqual(importedBy('proxy', 'config', 'sandbox'), [
      '@redis/client',
      'express',
      'node-cron',
      'prom-client',
      'undici',
      'winston',
    ])
  })

  it('names exact versions, the same in manifest and lock file', () => {
    for (const [name, version] of Object.entries(manifest.devDependencies)) {
      assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name)
      assert.equal(locked[`node_modules/${name}`]?.version, version, name)
    }
    assert.deepEqual(root?.devDependencies, manifest.devDependencies)
  })

  it('locks every package by a hash that nobody can forge, from nowhere but the registry', () => {
    assert.equal(lock.lockfileVersion, 3)
    assert.ok(packages.length > 100)
    for (const [path, { integrity, link, resolved }] of packages) {
      assert.match(integrity ?? '', /^sha512-[\w+/]{86}==$/, path)
      assert.equal(link, undefined, path)
      // Left out for what comes from the registry that npm is configured with; never for anything else.
      assert.equal(resolved, undefined, path)
    }
  })

  it('has no package, not even for development, whose licence asks for more than to be named', () => {
    for (const [path, { license = '' }] of packages) {
      if (REASONED.has(path.replace('node_modules/', ''))) continue
      const choices = license.replace(/^\(|\)$/g, '').split(' OR ')
      const isFree = choices.some((choice) => choice.split(' AND ').every((one) => LICENCES.includes(one)))
      assert.ok(isFree, `${path}: ${license}`)
    }
  })

  it('runs no script of a package that is installed', () => {
    assert.match(readFileSync('.npmrc', 'utf8'), /^ignore-scripts=true$/m)
    const withScripts = packages.filter(([, { hasInstallScript }]) => hasInstallScript === true)
    // It would only save a millisecond of starting it.
    assert.deepEqual(
      withScripts.map(([path]) => path),
      ['node_modules/esbuild'],
    )
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert.equal(manifest.scripts[name], undefined, name)
    }
  })

  it('installs from the lock file only, wherever it is built', () => {
    const places = [
      'Dockerfile',
      '.ci/run',
      '.github/workflows/release.yml',
      '.github/workflows/dependencies.yml',
    ]
    for (const place of places) {
      const text = readFileSync(place, 'utf8')
      assert.match(text, /\bnpm ci\b/, place)
      assert.doesNotMatch(text, /\bnpm (install|i|update)\b(?!.*--no-save)/, place)
    }
  })

  it('is reviewed when it changes and audited each week', () => {
    const { on } = workflow('dependencies')
    assert.deepEqual(Object.keys(on), ['pull_request', 'schedule'])
    const [, review = ''] = stepsOf('dependencies', 'review')
    assert.match(review, /^actions\/dependency-review-action@/)
    const { with: inputs } = workflow('dependencies').jobs.review.steps[1]
    assert.deepEqual(String(inputs['allow-licenses']).split(', '), LICENCES)
    const reasoned = [...REASONED.keys()].map((name) => `pkg:npm/${name}`)
    assert.deepEqual(String(inputs['allow-dependencies-licenses']).split(', '), reasoned)
    const audit = stepsOf('dependencies', 'audit').join('\n')
    assert.match(audit, /^npm audit --audit-level moderate$/m)
    assert.match(audit, /^npm audit signatures$/m)
  })

  it('releases with provenance, a bill of materials and signatures', () => {
    assert.ok(stepsOf('release', 'package').includes('npm publish --provenance --access public'))
    assert.match(stepsOf('release', 'package').join('\n'), /dist\/sbom\.cdx\.json/)
    const image = workflow('release').jobs.image.steps.find(({ id }: { id?: string }) => id === 'build')
    assert.deepEqual([image.with.sbom, image.with.provenance], [true, 'mode=max'])
    for (const job of ['image', 'chart']) {
      assert.match(stepsOf('release', job).join('\n'), /^ *cosign sign --yes/m, job)
      assert.equal(workflow('release').jobs[job].permissions['id-token'], 'write', job)
    }
  })

  it('ends in an image that opens no inspector', () => {
    assert.match(readFileSync('Dockerfile', 'utf8'), /^ENTRYPOINT \[.*"--disable-sigusr1".*\]$/m)
  })
})
