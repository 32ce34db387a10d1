import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { tempDir } from '../support/temp-dir.ts'
import { find, helmSkip, helms, type KubernetesObject } from './helm.ts'

const page = readFileSync('docs/deploy.md', 'utf8')
const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text as string)

const kubectl = process.env['KUBECTL'] ?? 'kubectl'
const skip =
  helmSkip ||
  (spawnSync(kubectl, ['version', '--client']).status !== 0 && 'kubectl is not installed (KUBECTL or PATH)')

/**
 * Programs of the page that would reach a cluster, an engine or a registry. What they would send there is made by the real
 * program and kept: Helm and kubectl render it, and refuse what they do not know.
 */
const STAND_INS: Readonly<Record<string, string>> = {
  helm: `
    case $1 in
      dependency) exec "$REAL_HELM" "$@" ;;
      upgrade)
        shift; [ "$1" = --install ]; shift
        file="$RENDERED/$(ls "$RENDERED" | wc -l).$1"
        "$REAL_HELM" template "$@" > "$file"
        cat "$file" >> "$APPLIED" ;;
      test|uninstall) exec "$REAL_HELM" "$1" --help > /dev/null ;;
      *) echo "unexpected: helm $*" >&2; exit 64 ;;
    esac`,
  kubectl: `
    case "$*" in
      *--dry-run=client*) exec "$REAL_KUBECTL" "$@" ;;
      *" create "*|create\\ *) echo --- >> "$APPLIED"; exec "$REAL_KUBECTL" "$@" --dry-run=client --output=yaml >> "$APPLIED" ;;
      apply\\ --kustomize*) echo --- >> "$APPLIED"; exec "$REAL_KUBECTL" kustomize "$3" >> "$APPLIED" ;;
      *apply\\ --filename\\ helm/*) echo --- >> "$APPLIED"; cat "$5" >> "$APPLIED" ;;
      apply\\ --filename\\ -) echo --- >> "$APPLIED"; cat >> "$APPLIED" ;;
      *rollout\\ status*|*logs*|*delete\\ secret*|*exec*) ;;
      *) echo "unexpected: kubectl $*" >&2; exit 64 ;;
    esac`,
  docker: `
    case "$*" in
      build*) [ -f Dockerfile ] ;;
      push*) ;;
      compose\\ --file*) [ -f "$3" ]; [ -f "$(dirname "$3")/client-secret" ] ;;
      *) echo "unexpected: docker $*" >&2; exit 64 ;;
    esac`,
}

for (const helm of helms.length > 0 ? helms : ['helm']) {
  describe(`docs/deploy.md, followed with ${helm}`, { skip }, () => {
    it('leads to objects that fit together, command by command', () => {
      const folder = tempDir()
      const programs = join(folder, 'programs')
      const clone = join(folder, 'clone')
      const applied = join(folder, 'applied.yaml')
      const rendered = join(folder, 'rendered')
      mkdirSync(programs)
      mkdirSync(rendered)
      for (const [name, script] of Object.entries(STAND_INS)) {
        writeFileSync(join(programs, name), `#!/bin/sh\nset -e\n${script}\n`, { mode: 0o755 })
      }
      cpSync('helm', join(clone, 'helm'), { recursive: true })
      cpSync('Dockerfile', join(clone, 'Dockerfile'))
      writeFileSync(join(clone, 'client-secret'), 'demo-secret')
      writeFileSync(join(clone, 'deployment.yaml'), DEPLOYMENT)

      for (const block of blocks) {
        const { status, stderr } = spawnSync('sh', ['-e', '-c', block], {
          cwd: clone,
          encoding: 'utf8',
          env: {
            PATH: `${programs}:${process.env['PATH']}`,
            HOME: folder,
            APPLIED: applied,
            RENDERED: rendered,
            REAL_HELM: resolvedProgram(helm),
            REAL_KUBECTL: resolvedProgram(kubectl),
          },
        })
        assert.equal(status, 0, `${block}\n${stderr}`)
      }

      const objects = objectsIn(readFileSync(applied, 'utf8'))
      const secrets = new Set(
        objects.filter(({ kind }) => kind === 'Secret').map(({ metadata }) => metadata.name),
      )
      const deployments = objects.filter(({ kind }) => kind === 'Deployment')
      assert.ok(deployments.length >= 4)
      for (const deployment of deployments) {
        const { spec } = deployment['spec'].template
        const [sidecar] = spec.initContainers ?? spec.containers
        assert.equal(sidecar.name, 'token-sidecar')
        assert.match(sidecar.image, /^(registry\.example|ghcr\.io\/token-sidecar)\/token-sidecar:0/)
        for (const name of secretsNamedBy(spec)) assert.ok(secrets.has(name), `nobody makes Secret ${name}`)
      }

      const steps = releasesIn(rendered)
      const shop = steps.filter(({ release }) => release === 'shop')
      assert.ok(shop.length > 2)
      // Helm forgets the values of earlier commands: each one has to give all of them.
      for (const { sidecar } of steps)
        assert.match(sidecar.image, /^registry\.example\/token-sidecar:\d+\.\d+\.\d+$/)
      const redis = { secretKeyRef: { name: 'token-sidecar-redis', key: 'url' } }
      const moved = shop.findIndex(({ store }) => store.valueFrom !== undefined)
      assert.ok(moved > 0)
      for (const { store } of shop.slice(0, moved)) {
        assert.equal(store.value, 'kubernetes:shops/shop-token-sidecar')
      }
      for (const { store } of shop.slice(moved)) assert.deepEqual(store.valueFrom, redis)
      // One client secret, one store: releases that do not share it revoke each other's tokens.
      const last = new Map(steps.map(({ release, store }) => [release, store]))
      assert.deepEqual([...last.keys()], ['shop', 'billing', 'clear'])
      for (const [release, store] of last) assert.deepEqual(store.valueFrom, redis, release)
      const [billing] = steps.filter(({ release }) => release === 'billing')
      assert.equal(billing?.store.value, 'kubernetes:shops/shop-token-sidecar')
      // The monitor of one release finds the sidecars of all.
      for (const kind of ['PodMonitor', 'PrometheusRule']) {
        const having = [...new Map(steps.map((step) => [step.release, step.kinds]))]
        assert.equal(having.filter(([, kinds]) => kinds.includes(kind)).length, 1, kind)
      }
    })

    it('keeps the account of an app that kustomize adds the sidecar to, with the lines for that', () => {
      const lines = /^```yaml\n(patches:\n[\s\S]*?)^```$/m.exec(page)?.[1]
      assert.ok(lines)
      const folder = tempDir()
      cpSync('helm', join(folder, 'helm'), { recursive: true })
      mkdirSync(join(folder, 'overlay'))
      const app = DEPLOYMENT.replace('containers:', 'serviceAccountName: shop\n      containers:')
      writeFileSync(join(folder, 'overlay/deployment.yaml'), app)
      const build = (more: string) => {
        const text = `resources: [deployment.yaml]\ncomponents: [../helm/kustomize]\nnamespace: shops\n${more}`
        writeFileSync(join(folder, 'overlay/kustomization.yaml'), text)
        const { stdout } = spawnSync(kubectl, ['kustomize', join(folder, 'overlay')], {
          encoding: 'utf8',
        })
        const objects = objectsIn(stdout)
        return { objects, pod: find(objects, 'Deployment')['spec'].template.spec }
      }
      const without = build('').pod
      assert.equal(without.serviceAccountName, 'token-sidecar')
      assert.equal(without.automountServiceAccountToken, false)
      const { objects, pod } = build(lines)
      assert.equal(pod.serviceAccountName, 'shop')
      assert.equal(pod.automountServiceAccountToken, undefined)
      assert.equal(pod.initContainers[0].name, 'token-sidecar')
      assert.ok(
        find(objects, 'RoleBinding')['subjects'].some(({ name }: { name: string }) => name === 'shop'),
        'the sidecar writes the token as that account',
      )
    })
  })
}

describe('docs/deploy.md', () => {
  it('shows the lines that the example chart has', () => {
    const example = readFileSync('helm/example-app/templates/deployment.yaml', 'utf8')
    const snippet = /^```yaml\n( {4}metadata:\n[\s\S]*?)^```$/m.exec(page)?.[1]?.trimEnd().split('\n') ?? []
    assert.ok(snippet.length > 8)
    for (const line of snippet) {
      const own = line.replaceAll('(index .Subcharts "token-sidecar")', '$sidecar').trim()
      assert.ok(
        example.split('\n').some((other) => other.trim() === own),
        own,
      )
    }
    const parts = (text: string) => new Set(text.match(/(?<=include ")token-sidecar\.\w+/g))
    assert.deepEqual(parts(snippet.join('\n')), parts(example))
    assert.match(example, /^ +automountServiceAccountToken: false$/m)
    assert.ok(snippet.includes('      automountServiceAccountToken: false'))
  })

  it('says of both ways without Helm that they are instead of it, for each keeps a token of its own', () => {
    const sections = page.split(/^## /m)
    const without = sections.find((section) => section.startsWith('Without Helm\n')) ?? ''
    assert.equal(without.match(/Instead of the Helm release above, not beside it:/g)?.length, 2)
  })

  it('names ports of the chart where it says what to do when the app needs them', () => {
    const values = readFileSync('helm/token-sidecar/values.yaml', 'utf8')
    for (const [name, port] of [
      ['proxy', 8080],
      ['ops', 9464],
    ] as const) {
      assert.match(values, new RegExp(`^ports:\n(?: .*\n)* {2}${name}: ${port}\n`, 'm'))
      assert.ok(page.includes(`\`ports.${name}\``), name)
    }
  })
})

interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: object
}

/** One `helm upgrade` of the page: what it would have made. */
interface Step {
  readonly release: string
  readonly kinds: readonly string[]
  readonly sidecar: { readonly image: string; readonly env: readonly Variable[] }
  /** Its TOKEN_STORE. */
  readonly store: Variable
}

function releasesIn(folder: string): Step[] {
  const files = readdirSync(folder).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
  return files.map((file) => {
    const objects = objectsIn(readFileSync(join(folder, file), 'utf8'))
    const { spec } = find(objects, 'Deployment')['spec'].template
    const [sidecar] = (spec.initContainers ?? spec.containers) as Step['sidecar'][]
    const store = sidecar?.env.find(({ name }) => name === 'TOKEN_STORE')
    assert.ok(sidecar && store, file)
    return { release: file.split('.')[1] as string, kinds: objects.map(({ kind }) => kind), sidecar, store }
  })
}

function objectsIn(text: string): KubernetesObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null)
}

function resolvedProgram(name: string): string {
  return name.includes('/') ? resolve(name) : spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()
}

// biome-ignore lint/suspicious/noExplicitAny: what a test reads of it, that test checks
function secretsNamedBy(spec: any): string[] {
  const containers = [...(spec.initContainers ?? []), ...spec.containers]
  return [
    ...(spec.volumes ?? []).flatMap((volume: { secret?: { secretName: string } }) =>
      volume.secret === undefined ? [] : [volume.secret.secretName],
    ),
    ...containers.flatMap(({ env = [] }) =>
      env.flatMap((entry: { valueFrom?: { secretKeyRef?: { name: string } } }) =>
        entry.valueFrom?.secretKeyRef === undefined ? [] : [entry.valueFrom.secretKeyRef.name],
      ),
    ),
  ]
}

const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: plain, labels: { token-sidecar/inject: "true" } }
spec:
  selector: { matchLabels: { app: plain } }
  template:
    metadata: { labels: { app: plain } }
    spec:
      containers: [{ name: app, image: docker.io/curlimages/curl:8.17.0 }]
`
