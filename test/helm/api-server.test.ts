import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { stringify } from 'yaml'
import { chartsWith, find, helmSkip, helms, type KubernetesObject, render } from './helm.ts'

/** A namespace that enforces the restricted Pod Security Standard, with the chart's objects; see scripts/kube-cluster.sh. */
const skip =
  helmSkip || (process.env['KUBECONFIG_TEST'] === undefined && 'no API server (scripts/kube-cluster.sh)')
const kubectl = process.env['KUBECTL'] ?? 'kubectl'

/** Custom resources are known only where the Prometheus operator is. */
const isBuiltIn = ({ apiVersion }: KubernetesObject) => !apiVersion.startsWith('monitoring.coreos.com/')

describe('a real API server', { skip }, () => {
  const helm = helms.at(-1) as string

  it('accepts all that the charts render, with no field unknown to it', (test) => {
    const charts = chartsFor(test)
    const values = [
      'gateway.enabled=true',
      'gateway.callerKey.existingSecret=gateway-key',
      'gateway.autoscaling.enabled=true',
      'monitoring.dashboard.enabled=true',
      'clientSecret.value=s3cret',
    ]
    const objects = [
      ...render(helm, join(charts, 'token-sidecar'), values),
      ...render(helm, join(charts, 'example-app')),
    ].filter(isBuiltIn)
    assert.ok(objects.length > 10)
    for (const object of objects) {
      const { status, stderr } = apply(object)
      assert.equal(status, 0, `${object.kind} ${object.metadata.name}: ${stderr}`)
      // Pods that break the standard are only warned of when they are part of another object.
      assert.doesNotMatch(stderr, /Warning/, `${object.kind} ${object.metadata.name}`)
    }
  })

  it('admits the pods of app and gateway under the restricted standard', (test) => {
    const charts = chartsFor(test)
    const gateway = ['gateway.enabled=true', 'gateway.callerKey.existingSecret=gateway-key']
    for (const objects of [
      render(helm, join(charts, 'example-app')),
      render(helm, join(charts, 'token-sidecar'), gateway),
    ]) {
      const { metadata, spec } = find(objects, 'Deployment')['spec'].template
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'one' }, spec }
      const { status, stderr } = apply(pod)
      assert.equal(status, 0, stderr)
    }
    const loose = { containers: [{ name: 'app', image: 'app' }] }
    const refused = apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'loose' }, spec: loose })
    assert.match(refused.stderr, /violates PodSecurity/, 'the namespace enforces the standard')
  })

  it('lets the chart’s account do with its one Secret what a store needs, and nothing else', () => {
    const may = (verb: string, what: string) =>
      spawnSync(kubectl, [
        ...['auth', 'can-i', verb, what, '--namespace', 'shops'],
        ...['--as', 'system:serviceaccount:shops:shop-token-sidecar'],
      ]).status === 0
    for (const verb of ['get', 'watch', 'patch']) assert.ok(may(verb, 'secrets/shop-token-sidecar'), verb)
    for (const verb of ['delete', 'update', 'create', 'list']) {
      assert.ok(!may(verb, 'secrets/shop-token-sidecar'), verb)
    }
    assert.ok(!may('get', 'secrets/clear-client-secret'))
    assert.ok(!may('get', 'configmaps'))
  })
})

function chartsFor(test: TestContext): string {
  const charts = chartsWith(helms.at(-1) as string)
  test.after(() => charts.remove())
  return charts.folder
}

function apply(object: object): { readonly status: number | null; readonly stderr: string } {
  const args = ['apply', '--namespace', 'shops', '--server-side', '--force-conflicts', '--dry-run=server']
  return spawnSync(kubectl, [...args, '--validate=strict', '--filename', '-'], {
    input: stringify(object),
    encoding: 'utf8',
  })
}
