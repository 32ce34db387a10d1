import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { tempDir } from '../support/temp-dir.ts'
import { helmSkip, helms, type KubernetesObject } from './helm.ts'

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
      upgrade) shift; [ "$1" = --install ]; shift; exec "$REAL_HELM" template "$@" >> "$APPLIED" ;;
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
      compose\\ --file*) [ -f "$3" ] ;;
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
      mkdirSync(programs)
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
            REAL_HELM: resolvedProgram(helm),
            REAL_KUBECTL: resolvedProgram(kubectl),
          },
        })
        assert.equal(status, 0, `${block}\n${stderr}`)
      }

      const objects = parseAllDocuments(readFileSync(applied, 'utf8'))
        .map((document) => document.toJS() as KubernetesObject | null)
        .filter((object) => object !== null)
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
    })
  })
}

describe('docs/deploy.md', () => {
  it('shows the lines that the example chart has', () => {
    const example = readFileSync('helm/example-app/templates/deployment.yaml', 'utf8')
    for (const [, template] of page.matchAll(/include "(token-sidecar\.\w+)"/g)) {
      assert.ok(example.includes(`include "${template}"`), template)
    }
  })
})

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
