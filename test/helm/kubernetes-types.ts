import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { tempDir } from '../support/temp-dir.ts'

interface TypedObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
}

/** Where the types of an API group are. Those of the Prometheus operator are written down here, as far as the chart needs them. */
const modules: Readonly<Record<string, string>> = {
  v1: 'kubernetes-types/core/v1',
  'apps/v1': 'kubernetes-types/apps/v1',
  'autoscaling/v2': 'kubernetes-types/autoscaling/v2',
  'networking.k8s.io/v1': 'kubernetes-types/networking/v1',
  'policy/v1': 'kubernetes-types/policy/v1',
  'rbac.authorization.k8s.io/v1': 'kubernetes-types/rbac/v1',
  'monitoring.coreos.com/v1': '../test/helm/prometheus-operator-types',
}

/**
 * What the compiler says of objects that are given the types Kubernetes generates from its own: a field that is unknown at its place,
 * lacks, or has another type. Each complaint names the object. Throws for a kind that has no type here.
 */
export function typeErrors(objects: readonly TypedObject[]): string[] {
  const folder = tempDir()
  const file = join(folder, 'objects.ts')
  const texts = objects.map((object, index) => {
    const { apiVersion, kind, metadata } = object
    const path = modules[apiVersion]
    if (path === undefined) throw new Error(`no types for ${apiVersion} ${kind}`)
    // A literal, for only those are refused when they have one field too many.
    const type = `import(${JSON.stringify(resolve('node_modules', path))}).${kind}`
    return `// ${kind} ${metadata.name}\nexport const object${index}: ${type} = ${JSON.stringify(object, null, 1)}\n`
  })
  const text = texts.join('\n')
  writeFileSync(file, text)
  const lines = text.split('\n')
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--pretty', 'false']
  const { status, stdout } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', ...options, '--module', 'preserve', file],
    { encoding: 'utf8' },
  )
  if (status === 0) return []
  const complaints = [...stdout.matchAll(/\((\d+),\d+\): error (.+)/g)]
  // Not about an object: then this test itself is broken.
  if (complaints.length === 0) throw new Error(stdout)
  return complaints.map(([, line, message]) => {
    const object = lines.slice(0, Number(line)).findLast((text) => text.startsWith('// '))
    return `${object?.slice(3)}: ${message}`
  })
}
