import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

/** Part of a rendered Kubernetes object. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
  }
  // biome-ignore lint/suspicious/noExplicitAny: what a test reads of it, that test checks
  readonly [field: string]: any
}

/** The Helm programs to test with: HELM_3 and HELM_4 (see scripts/helm-programs.sh), else the one on the PATH. */
export const helms: readonly string[] = (() => {
  const named = [process.env['HELM_3'], process.env['HELM_4']].filter(
    (path) => path !== undefined && existsSync(path),
  )
  if (named.length > 0) return named as string[]
  return spawnSync('helm', ['version']).status === 0 ? ['helm'] : []
})()

export const helmSkip = helms.length > 0 ? false : 'Helm is not installed (HELM_3, HELM_4 or PATH)'

/** A copy of helm/ in which the example's dependency is built; removed by `remove`. */
export function chartsWith(helm: string): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'charts-'))
  cpSync('helm', folder, { recursive: true })
  execFileSync(helm, ['dependency', 'build', join(folder, 'example-app')], { stdio: 'pipe' })
  return { folder, remove: () => rmSync(folder, { recursive: true }) }
}

/** Renders a chart into its objects; `kubeVersion`, such as 1.28.0, is that of the cluster. */
export function render(
  helm: string,
  chart: string,
  values: readonly string[] = [],
  kubeVersion?: string,
): KubernetesObject[] {
  return parseAllDocuments(renderedText(helm, chart, values, kubeVersion))
    .map((document) => document.toJS() as KubernetesObject)
    .filter((object) => object !== null)
}

/** The same as text, with the path of its template before each object; `file` is what a values file has in it. */
export function renderedText(
  helm: string,
  chart: string,
  values: readonly string[],
  kubeVersion?: string,
  file: object = {},
): string {
  const args = [...templateArguments(chart, values, kubeVersion), '--values', '-']
  const { status, stdout, stderr } = spawnSync(helm, args, { encoding: 'utf8', input: JSON.stringify(file) })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** What Helm says of values it refuses; null when it takes them. */
export function refusal(
  helm: string,
  chart: string,
  values: readonly string[],
  kubeVersion?: string,
): string | null {
  const { status, stderr } = spawnSync(helm, templateArguments(chart, values, kubeVersion), {
    encoding: 'utf8',
  })
  return status === 0 ? null : stderr
}

function templateArguments(chart: string, values: readonly string[], kubeVersion?: string): string[] {
  const sets = values.flatMap((value) => ['--set', value])
  const cluster = kubeVersion === undefined ? [] : ['--kube-version', kubeVersion]
  return ['template', 'shop', chart, '--namespace', 'shops', ...sets, ...cluster]
}

/** What Helm tells whoever installs the chart; rendered as a ConfigMap's text, for Helm shows notes only with a cluster. */
export function notes(helm: string, chart: string, values: readonly string[]): string {
  const text = readFileSync(join(chart, 'templates/NOTES.txt'), 'utf8')
  const shown = join(chart, 'templates/shown-notes.yaml')
  writeFileSync(
    shown,
    `{{- define "notes" }}${text}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: { name: notes }
data:
  notes: |
    {{- include "notes" . | nindent 4 }}
`,
  )
  try {
    return find(render(helm, chart, values), 'ConfigMap')['data'].notes
  } finally {
    rmSync(shown)
  }
}

export function find(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind)
  if (found === undefined) throw new Error(`no ${kind} is rendered`)
  return found
}
