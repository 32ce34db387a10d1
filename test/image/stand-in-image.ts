import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What an image says of how it is to be run. */
export interface ImageConfig {
  readonly User: string
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly Env: readonly string[]
  readonly WorkingDir: string
  readonly Labels: Readonly<Record<string, string>>
  readonly ExposedPorts: Readonly<Record<string, unknown>>
}

/** Why the image cannot be built here; false when it can. */
export const buildSkip = (() => {
  if (process.getuid?.() !== 0) return 'only root can build an image without a container engine'
  for (const program of ['buildah', 'bwrap']) {
    if (spawnSync(program, ['--version']).status !== 0) return `${program} is not installed`
  }
  if (Number(process.versions.node.split('.')[0]) < 24) return 'the image runs Node 24; this is an older one'
  if (process.env['npm_execpath'] === undefined) return 'npm is not what started the tests'
  return false
})()

/**
 * Builds the Dockerfile without a container engine or a registry: buildah with chroot isolation, upon a base made of this
 * machine's own Node, npm and shell in place of the two that the Dockerfile names.
 */
export class StandInImage {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    const root = join(folder, 'base')
    makeBase(root)
    const base = this.#buildah('from', 'scratch').trim()
    this.#buildah('add', '--quiet', base, root, '/')
    this.#buildah('config', '--env', 'PATH=/nodejs/bin:/usr/bin:/bin', base)
    // A registry mirror's certificate authority, where this machine has one of its own.
    if (authorities !== undefined)
      this.#buildah('config', '--env', `NODE_EXTRA_CA_CERTS=${AUTHORITIES}`, base)
    this.#buildah('commit', '--quiet', base, 'localhost/stand-in')
    this.#buildah('rm', base)
  }

  /** Builds with all times at zero, and returns the image's number. */
  build(tag: string): string {
    const base = 'localhost/stand-in'
    const args = ['--build-arg', `BUILD_IMAGE=${base}`, '--build-arg', `RUNTIME_IMAGE=${base}`]
    const options = ['--quiet', '--pull-never', '--no-cache', '--timestamp', '0']
    return this.#buildah('build', ...options, ...args, '--tag', tag, '.').trim()
  }

  config(tag: string): ImageConfig {
    return JSON.parse(this.#buildah('inspect', '--type', 'image', tag)).OCIv1.config as ImageConfig
  }

  /** The image's files, as a folder. */
  unpack(tag: string): string {
    return this.#buildah('mount', this.#buildah('from', '--pull-never', tag).trim()).trim()
  }

  #buildah(...args: string[]): string {
    const places = ['--root', join(this.#folder, 'store'), '--runroot', join(this.#folder, 'run')]
    const [verb, ...rest] = args as [string, ...string[]]
    const isolation = verb === 'build' ? ['--isolation', 'chroot'] : []
    return execFileSync('buildah', [...places, '--storage-driver', 'vfs', verb, ...isolation, ...rest], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    })
  }
}

const authorities = process.env['NODE_EXTRA_CA_CERTS']
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt'

function makeBase(root: string): void {
  for (const folder of ['nodejs/bin', 'usr/bin', 'usr/lib', 'etc/ssl/certs', 'tmp', 'proc', 'dev', 'src']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  for (const [merged, real] of [
    ['bin', 'usr/bin'],
    ['lib', 'usr/lib'],
  ] as const) {
    symlinkSync(real, join(root, merged))
  }
  copyProgram(root, process.execPath, '/nodejs/bin/node')
  copyProgram(root, '/bin/sh', '/usr/bin/sh')
  copyProgram(root, '/usr/bin/env', '/usr/bin/env')
  const npm = dirname(dirname(realpathSync(process.env['npm_execpath'] as string)))
  cpSync(npm, join(root, 'usr/lib/npm'), { recursive: true })
  symlinkSync('/usr/lib/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'))
  if (authorities !== undefined) cpSync(authorities, join(root, AUTHORITIES))
}

/** Copies a program with the libraries it loads. */
function copyProgram(root: string, from: string, to: string): void {
  cpSync(realpathSync(from), join(root, to))
  const listed = execFileSync('ldd', [realpathSync(from)], { encoding: 'utf8' })
  for (const [, library] of listed.matchAll(/(\/\S+) \(0x/g)) {
    const path = library as string
    const into = join(root, path.replace(/^\/lib\//, '/usr/lib/'))
    mkdirSync(dirname(into), { recursive: true })
    cpSync(realpathSync(path), into)
  }
}
