import { readFileSync } from 'node:fs'
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml'

interface Row {
  readonly name: string
  readonly value: string
  readonly about: string
}

/** The chart's README: values.yaml as a table. A value is documented by the comment above it that begins with `--`. */
export function chartReadme(): string {
  const chart = parseDocument(readFileSync('helm/token-sidecar/Chart.yaml', 'utf8')).toJS() as {
    description: string
    version: string
    kubeVersion: string
  }
  const values = parseDocument(readFileSync('helm/token-sidecar/values.yaml', 'utf8')).contents as YAMLMap
  const rows = rowsOf(values, '')
  return `<!-- Made from values.yaml by "npm run docs": do not edit. -->
# Chart token-sidecar ${chart.version}

${chart.description} Needs Kubernetes ${chart.kubeVersion.replace(/-0$/, '')} and Helm 3 or 4.

It serves two ways: other charts use it as a dependency and add the sidecar to their pods by named templates, or it runs a
shared gateway. [docs/deploy.md](../../docs/deploy.md) leads from nothing to a pod.

| named template | what it gives |
| --- | --- |
| \`token-sidecar.container\` | the sidecar, for a pod's \`initContainers\` |
| \`token-sidecar.volumes\` | what it mounts, for a pod's \`volumes\` |
| \`token-sidecar.podLabels\` | the label by which its metrics are found |
| \`token-sidecar.serviceAccountName\` | the account that may write the fleet's Secret |

Each takes the subchart's context: \`(index .Subcharts "token-sidecar")\`.

## Values

| value | default | what it is |
| --- | --- | --- |
${rows.map(({ name, value, about }) => `| \`${name}\` | ${value} | ${about} |`).join('\n')}
`
}

function rowsOf(map: YAMLMap, prefix: string): Row[] {
  return (map.items as Pair[]).flatMap((pair, index) => {
    const key = pair.key as { value: string; commentBefore?: string }
    const name = prefix + key.value
    // The first key's comment is the map's own.
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined)
    const about = aboutOf(comment)
    const isLeaf =
      !isMap(pair.value) || pair.value.items.length === 0 || /^(resources|securityContext)$/.test(name)
    const row = { name, value: isLeaf ? shown(pair.value) : '', about }
    const inner = isLeaf ? [] : rowsOf(pair.value as YAMLMap, `${name}.`)
    return about === '' && !isLeaf ? inner : [row, ...inner]
  })
}

function aboutOf(comment: string | null | undefined): string {
  const lines = (comment ?? '').split('\n').map((line) => line.trim())
  const first = lines.findLastIndex((line) => line.startsWith('-- '))
  return first === -1 ? '' : lines.slice(first).join(' ').slice(3).replaceAll('|', '\\|')
}

function shown(value: unknown): string {
  if (isScalar(value)) return value.value === '' ? '' : `\`${String(value.value)}\``
  const plain = (value as YAMLMap).toJSON() as unknown
  const text = JSON.stringify(plain)
  return text.length > 40 ? 'see values.yaml' : `\`${text}\``
}
