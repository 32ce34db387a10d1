/**
 * Writes what people without Helm use, from the chart: a component for kustomize, and the example app as plain objects. `--check`
 * fails when they are not what the chart gives. Needs Helm (`HELM`, default `helm` on the PATH).
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'

const NAMES = ['--set', 'token-sidecar.fullnameOverride=token-sidecar']

/** The files' contents by their path below helm/. */
export function manifests(helm: string): ReadonlyMap<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'manifests-'))
  try {
    cpSync('helm', folder, { recursive: true })
    const chart = join(folder, 'example-app')
    execFileSync(helm, ['dependency', 'build', chart], { stdio: 'pipe' })
    const rendered = execFileSync(helm, ['template', 'shop', chart, '--namespace', 'NAMESPACE', ...NAMES])
    const objects = parseAllDocuments(rendered.toString()).map(
      (document) => document.toJS() as KubernetesObject,
    )
    const app = objects.find(({ kind }) => kind === 'Deployment')
    const pod = app?.spec?.template?.spec
    if (pod === undefined) throw new Error('the example chart renders no Deployment')
    const patch = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'any' },
      spec: {
        template: {
          metadata: { labels: { 'token-sidecar/scrape': 'true' } },
          spec: {
            serviceAccountName: pod.serviceAccountName,
            automountServiceAccountToken: false,
            initContainers: pod.initContainers,
            volumes: pod.volumes,
          },
        },
      },
    }
    // A pod is Helm's test.
    const namespaced = objects.filter(({ kind }) => kind !== 'Deployment' && kind !== 'Pod')
    for (const { metadata } of namespaced) {
      delete metadata.namespace
      delete metadata.labels
      delete metadata.annotations
    }
    return new Map([
      ['kustomize/namespace.yaml', HEADER + plain(namespaced)],
      ['kustomize/sidecar.yaml', HEADER + plain([patch])],
      ['plain/shop.yaml', PLAIN_HEADER + plain([...namespaced, app])],
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** For whatever namespace they are applied to: "kubernetes:" alone is the pod's own, and the name token-sidecar. */
function plain(objects: readonly unknown[]): string {
  return objects
    .map((object) => stringify(object, { aliasDuplicateObjects: false }))
    .join('---\n')
    .replaceAll('    namespace: NAMESPACE\n', '')
    .replace(/kubernetes:NAMESPACE\/.*/, '"kubernetes:"')
}

const HEADER = '# Made from the chart by "npx tsx scripts/manifests.ts": do not edit.\n'

const PLAIN_HEADER = `${HEADER}# An app with the sidecar, and what its namespace needs; a Secret clear-client-secret with the key client-secret must exist.
`

interface KubernetesObject {
  readonly kind: string
  readonly metadata: { namespace?: string; labels?: unknown; annotations?: unknown }
  readonly spec?: {
    readonly template?: {
      readonly spec?: { serviceAccountName: string; initContainers: unknown[]; volumes: unknown[] }
    }
  }
}

if (import.meta.filename === process.argv[1]) {
  const isCheck = process.argv.includes('--check')
  for (const [name, text] of manifests(process.env['HELM'] ?? 'helm')) {
    const path = join('helm', name)
    if (!isCheck) writeFileSync(path, text)
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${path} is not what the chart gives: run npx tsx scripts/manifests.ts`)
      process.exitCode = 1
    }
  }
}
