import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { mainVariables, routeVariables } from '../../config/variables.ts'

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
  // biome-ignore lint/suspicious/noExplicitAny: what a test reads of it, that test checks
  readonly [keyword: string]: any
}

const schema = JSON.parse(readFileSync('helm/token-sidecar/values.schema.json', 'utf8')) as Schema & {
  readonly properties: { readonly settings: Schema & { readonly properties: Record<string, Schema> } }
}

/** Paths of all values; below those that are whatever Kubernetes takes, and settings, which have a test of their own, nothing. */
function namesOf({ properties }: Schema, settings: Schema, prefix = ''): string[] {
  const names = Object.entries(properties ?? {}).flatMap(([name, inner]) =>
    inner.properties === undefined || inner === settings
      ? [prefix + name]
      : namesOf(inner, settings, `${prefix}${name}.`),
  )
  return names.filter((name) => name !== 'global').sort()
}

function namesIn(values: object, settings: Schema, within: Schema = schema, prefix = ''): string[] {
  const names = Object.entries(values).flatMap(([name, value]) => {
    const inner = within.properties?.[name]
    assert.ok(inner, `${prefix}${name} is not in the schema`)
    return inner.properties === undefined || inner === settings
      ? [prefix + name]
      : namesIn(value, settings, inner, `${prefix}${name}.`)
  })
  return names.sort()
}

describe('the chart’s files', () => {
  it('carry the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    const { version: chartVersion, appVersion } = parse(readFileSync('helm/token-sidecar/Chart.yaml', 'utf8'))
    assert.deepEqual([chartVersion, appVersion], [version, version])
    assert.equal(parse(readFileSync('helm/example-app/Chart.yaml', 'utf8')).dependencies[0].version, version)
    assert.match(readFileSync('Dockerfile', 'utf8'), new RegExp(`^ARG VERSION=${version}$`, 'm'))
  })

  it('describe every value in the schema, and no other', () => {
    const values = parse(readFileSync('helm/token-sidecar/values.yaml', 'utf8'))
    assert.deepEqual(namesIn(values, schema.properties.settings), namesOf(schema, schema.properties.settings))
  })

  it('let every setting of the sidecar be set, but those that the chart sets itself', () => {
    const { properties, patternProperties } = schema.properties.settings
    const own = /^(CLIENT_SECRET(_FILE)?|CALLER_KEY(_FILE)?|TOKEN_STORE|LISTEN|OPS_LISTEN|ALLOWED_HOSTS)$/
    const settable = mainVariables().filter((name) => !own.test(name))
    assert.deepEqual(Object.keys(properties), [...settable, 'NODE_EXTRA_CA_CERTS'])
    const [pattern = ''] = Object.keys(patternProperties)
    for (const name of routeVariables('GLS_2')) {
      // The secret itself has no place among values.
      assert.equal(new RegExp(pattern).test(name), !name.endsWith('_CLIENT_SECRET'), name)
    }
  })

  it('have a runbook for every alert', () => {
    const { groups } = parse(readFileSync('helm/token-sidecar/files/alerts.yaml', 'utf8'))
    const operations = readFileSync('docs/operations.md', 'utf8')
    for (const { alert, annotations } of groups[0].rules) {
      assert.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`)
      assert.match(operations, new RegExp(`^### ${alert}$`, 'm'))
    }
  })
})
