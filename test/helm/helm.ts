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

/** Renders a chart into its objects. */
export function render(helm: string, chart: string, values: readonly string[] = []): KubernetesObject[] {
  const sets = values.flatMap((value) => ['--set', value])
  const text = execFileSync(helm, ['template', 'shop', chart, '--namespace', 'shops', ...sets], {
    stdio: 'pipe',
  })
  return parseAllDocuments(text.toString())
    .map((document) => document.toJS() as KubernetesObject)
    .filter((object) => object !== null)
}

/** What Helm says of values it refuses; null when it takes them. */
export function refusal(helm: string, chart: string, values: readonly string[]): string | null {
  const sets = values.flatMap((value) => ['--set', value])
  const { status, stderr } = spawnSync(helm, ['template', 'shop', chart, ...sets], { encoding: 'utf8' })
  return status === 0 ? null : stderr
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
