import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import {
  chartsWith,
  find,
  helmSkip,
  helms,
  type KubernetesObject,
  refusal,
  render,
  renderedText,
} from './helm.ts'
import { typeErrors } from './kubernetes-types.ts'

const gateway = ['gateway.enabled=true', 'gateway.callerKey.existingSecret=gateway-key']

for (const helm of helms.length > 0 ? helms : ['helm']) {
  describe(`what people set in the chart, rendered by ${helm}`, { skip: helmSkip }, () => {
    const charts = helmSkip === false ? chartsWith(helm) : { folder: '', remove: () => {} }
    after(() => charts.remove())
    const chart = join(charts.folder, 'token-sidecar')
    const example = join(charts.folder, 'example-app')
    const sidecar = (values: readonly string[], kubeVersion?: string) => {
      const objects = render(
        helm,
        example,
        values.map((value) => `token-sidecar.${value}`),
        kubeVersion,
      )
      const { spec } = find(objects, 'Deployment')['spec'].template
      return { objects, spec, container: spec.initContainers[0] }
    }

    it('puts no secret into the release when secrets exist beforehand', () => {
      const objects = render(helm, chart, [...gateway, 'store.kind=kubernetes'])
      const [fleet, ...others] = objects.filter(({ kind }) => kind === 'Secret')
      assert.equal(others.length, 0)
      assert.deepEqual(Object.keys(fleet ?? {}).sort(), ['apiVersion', 'kind', 'metadata', 'type'])
      assert.equal(fleet?.metadata.annotations?.['helm.sh/resource-policy'], 'keep')
    })

    it('hands large numbers and booleans on as they were written', () => {
      const { container } = sidecar(['settings.REPLAY_BODY_LIMIT=1048576', 'settings.MASK_TOKEN=false'])
      const env = Object.fromEntries(container.env.map(({ name, value }: Named) => [name, value]))
      assert.deepEqual([env['REPLAY_BODY_LIMIT'], env['MASK_TOKEN']], ['1048576', 'false'])
      const file = { settings: { UPSTREAM_URL: 'https://api.test', MAX_CONNECTIONS: 2_000_000 } }
      const text = renderedText(helm, chart, [...gateway], undefined, file)
      assert.match(text, /name: MAX_CONNECTIONS\n +value: "2000000"/)
    })

    it('lets a second release of the namespace share the first one’s Secret, as an account of its own', () => {
      const { objects, container } = sidecar([
        'store.kubernetes.secretName=first-token-sidecar',
        'store.kubernetes.create=false',
      ])
      assert.deepEqual(
        objects.filter(({ kind }) => kind === 'Secret'),
        [],
      )
      assert.deepEqual(find(objects, 'Role')['rules'][0].resourceNames, ['first-token-sidecar'])
      assert.equal(find(objects, 'Role').metadata.name, 'shop-token-sidecar')
      const store = container.env.find(({ name }: Named) => name === 'TOKEN_STORE')
      assert.equal(store.value, 'kubernetes:shops/first-token-sidecar')
    })

    it('mounts the secrets of further routes, and what else is asked for, in the sidecar alone', () => {
      const { spec, container } = sidecar([
        'clientSecret.moreKeys={gls}',
        'settings.ROUTES=gls',
        'settings.ROUTE_GLS_PREFIX=/gls',
        'settings.ROUTE_GLS_CLIENT_SECRET_FILE=/run/secrets/token-sidecar/client/gls',
        'extraVolumes[0].name=authority',
        'extraVolumes[0].configMap.name=authority',
        'extraVolumeMounts[0].name=authority',
        'extraVolumeMounts[0].mountPath=/run/authority',
        'settings.UPSTREAM_CA_FILE=/run/authority/ca.crt',
      ])
      const [client] = spec.volumes
      assert.deepEqual(
        client.secret.items.map(({ key }: { key: string }) => key),
        ['client-secret', 'gls'],
      )
      assert.ok(
        container.volumeMounts.some(({ mountPath }: { mountPath: string }) => mountPath === '/run/authority'),
      )
      assert.ok(spec.volumes.some(({ name }: Named) => name === 'authority'))
      assert.equal(spec.containers[0].volumeMounts, undefined)
    })

    it('keeps a sidecar that is an ordinary container serving while its app ends', () => {
      assert.equal(sidecar([]).container.lifecycle, undefined, 'a native one ends after the app')
      const now = sidecar(['native=false']).container
      assert.deepEqual(now.lifecycle.preStop, { sleep: { seconds: 5 } })
      const old = sidecar(['native=false'], '1.28.0').container
      assert.deepEqual(old.lifecycle.preStop.exec.command.slice(0, 2), ['/nodejs/bin/node', '-e'])
      assert.equal(sidecar(['native=false', 'preStopSleepSeconds=0']).container.lifecycle, undefined)
    })

    it('refuses a native sidecar on a cluster that would wait for its end', () => {
      assert.match(refusal(helm, example, [], '1.28.0') ?? 'taken', /set native=false/)
      assert.equal(refusal(helm, example, [], '1.29.0'), null)
    })

    it('asks an older cluster only for what it knows', () => {
      const objects = render(helm, chart, gateway, '1.26.0')
      assert.equal(find(objects, 'PodDisruptionBudget')['spec'].unhealthyPodEvictionPolicy, undefined)
      const { lifecycle } = find(objects, 'Deployment')['spec'].template.spec.containers[0]
      assert.ok(lifecycle.preStop.exec)
      const today = find(render(helm, chart, gateway), 'PodDisruptionBudget')
      assert.equal(today['spec'].unhealthyPodEvictionPolicy, 'AlwaysAllow')
    })

    it('listens on IPv6 where pods have nothing else', () => {
      const objects = render(helm, chart, [...gateway, 'ports.address=[::]'])
      const { env } = find(objects, 'Deployment')['spec'].template.spec.containers[0]
      const listeners = env
        .filter(({ name }: Named) => name.endsWith('LISTEN'))
        .map(({ value }: Named) => value)
      assert.deepEqual(listeners, ['[::]:9464', '[::]:8080'])
    })

    it('gives alerts the address of their runbook', () => {
      const values = [
        'monitoring.rules.enabled=true',
        'monitoring.rules.runbookBase=https://git.example/blob/main/',
      ]
      for (const { annotations } of find(render(helm, chart, values), 'PrometheusRule')['spec'].groups[0]
        .rules) {
        assert.equal(annotations.runbook_url, `https://git.example/blob/main/${annotations.runbook}`)
      }
    })

    it('tests a release in a pod that has what the app’s sidecar has, and with a call through the gateway', () => {
      const { objects, container } = sidecar([])
      const check = testPods(objects).find(({ metadata }) => metadata.name.endsWith('test-check'))
      const [checking] = check?.['spec'].containers ?? []
      assert.deepEqual(checking.args, ['check'])
      assert.equal(checking.startupProbe, undefined)
      assert.deepEqual(checking.volumeMounts, container.volumeMounts)
      const withoutListener = container.env.filter(({ name }: Named) => name !== 'LISTEN')
      assert.deepEqual(checking.env, withoutListener)
      assert.equal(check?.['spec'].serviceAccountName, 'shop-token-sidecar')
      assert.equal(testPods(objects).length, 1)
      assert.equal(testPods(render(helm, chart, gateway)).length, 2)
    })
  })
}

describe('types of Kubernetes', () => {
  const good = parse(`
    apiVersion: apps/v1
    kind: Deployment
    metadata: { name: app }
    spec:
      selector: { matchLabels: { app: app } }
      template: { spec: { containers: [{ name: app, image: app }] } }
  `)
  const changed = (change: (deployment: typeof good) => void) => {
    const copy = structuredClone(good)
    change(copy)
    return typeErrors([copy]).join('\n')
  }

  it('refuse a field that is unknown, misplaced, missing or of another type', () => {
    assert.deepEqual(typeErrors([good]), [])
    assert.match(
      changed(({ spec }) => {
        spec.template.spec.containers[0].enviroment = []
      }),
      /Deployment app: .*enviroment/,
    )
    assert.match(
      changed(({ spec }) => {
        spec.readinessProbe = {}
      }),
      /readinessProbe/,
    )
    assert.match(
      changed(({ spec }) => {
        delete spec.selector
      }),
      /selector/,
    )
    assert.match(
      changed(({ spec }) => {
        spec.replicas = '2'
      }),
      /string/,
    )
    assert.throws(() =>
      typeErrors([{ apiVersion: 'apps/v2', kind: 'Deployment', metadata: { name: 'app' } }]),
    )
  })
})

interface Named {
  readonly name: string
  readonly value?: string
}

function testPods(objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.filter(
    ({ kind, metadata }) => kind === 'Pod' && metadata.annotations?.['helm.sh/hook'] === 'test',
  )
}
