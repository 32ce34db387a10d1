import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { settings } from '../../config/settings.ts'
import { manifests } from '../../scripts/manifests.ts'
import { unknownFields } from './fields.ts'
import { chartsWith, find, helmSkip, helms, type KubernetesObject, notes, refusal, render } from './helm.ts'

const everything = [
  'gateway.enabled=true',
  'gateway.callerKey.existingSecret=gateway-key',
  'gateway.autoscaling.enabled=true',
  'monitoring.podMonitor.enabled=true',
  'monitoring.rules.enabled=true',
  'monitoring.dashboard.enabled=true',
]

for (const helm of helms.length > 0 ? helms : ['helm']) {
  describe(`the chart, rendered by ${helm}`, { skip: helmSkip }, () => {
    const charts = helmSkip === false ? chartsWith(helm) : { folder: '', remove: () => {} }
    after(() => charts.remove())
    const chart = join(charts.folder, 'token-sidecar')
    const example = join(charts.folder, 'example-app')

    it('renders with its own defaults, and then without a gateway or monitoring', () => {
      const kinds = render(helm, chart).map(({ kind }) => kind)
      assert.deepEqual(kinds.sort(), ['Role', 'RoleBinding', 'Secret', 'ServiceAccount'])
    })

    it('renders every template, all of it with fields that Kubernetes knows', () => {
      const objects = [
        ...render(helm, chart, [...everything, 'clientSecret.value=s3cret']),
        ...render(helm, example),
      ]
      assert.deepEqual(
        objects.flatMap((object) => unknownFields(object)),
        [],
      )
      const kinds = new Set(objects.map(({ kind }) => kind))
      for (const kind of [
        'PodMonitor',
        'PrometheusRule',
        'ConfigMap',
        'Deployment',
        'Service',
        'Pod',
        'NetworkPolicy',
      ]) {
        assert.ok(kinds.has(kind), kind)
      }
      for (const kind of ['PodDisruptionBudget', 'HorizontalPodAutoscaler']) assert.ok(kinds.has(kind), kind)
    })

    it('gives an app’s pod a native sidecar that alone sees secret and API token', () => {
      const { spec } = podOf(render(helm, example))
      const [sidecar] = spec.initContainers
      assert.equal(sidecar.restartPolicy, 'Always')
      assert.equal(spec.automountServiceAccountToken, false)
      assert.deepEqual(mounts(sidecar), ['token-sidecar-client', 'token-sidecar-api'])
      assert.deepEqual(mounts(spec.containers[0]), [])
      assert.deepEqual(
        spec.volumes.map(({ name }: { name: string }) => name),
        mounts(sidecar),
      )
      assert.equal(env(sidecar)['LISTEN'], '127.0.0.1:8080')
    })

    it('puts the sidecar among the containers of clusters that know no native ones', () => {
      const [sidecar] = podOf(render(helm, example, ['token-sidecar.native=false'])).spec.initContainers
      assert.equal(sidecar.restartPolicy, undefined)
    })

    it('lets the pod’s account get, watch and patch the one Secret that TOKEN_STORE names, and nothing else', () => {
      const objects = render(helm, example)
      const role = find(objects, 'Role')
      const secret = find(objects, 'Secret')
      const [sidecar] = podOf(objects).spec.initContainers
      assert.equal(env(sidecar)['TOKEN_STORE'], `kubernetes:shops/${secret.metadata.name}`)
      assert.deepEqual(role['rules'], [
        {
          apiGroups: [''],
          resources: ['secrets'],
          resourceNames: [secret.metadata.name],
          verbs: ['get', 'watch', 'patch'],
        },
      ])
      assert.equal(find(objects, 'RoleBinding')['subjects'][0].name, podOf(objects).spec.serviceAccountName)
      assert.equal(secret['data'], undefined, 'an upgrade must not take the token away')
      assert.equal(secret['stringData'], undefined)
    })

    it('asks for no rights and no API token with Redis, whose URL stays in its Secret', () => {
      const values = ['store.kind=redis', 'store.redis.existingSecret=redis-url']
      const objects = render(
        helm,
        example,
        values.map((value) => `token-sidecar.${value}`),
      )
      assert.equal(
        objects.some(({ kind }) => kind === 'Role'),
        false,
      )
      const [sidecar] = podOf(objects).spec.initContainers
      assert.deepEqual(mounts(sidecar), ['token-sidecar-client'])
      const store = sidecar.env.find(({ name }: { name: string }) => name === 'TOKEN_STORE')
      assert.deepEqual(store.valueFrom.secretKeyRef, { name: 'redis-url', key: 'url' })
    })

    it('sets only variables that the product has', () => {
      const objects = render(helm, chart, everything)
      const containers = [
        podOf(objects).spec.containers[0],
        podOf(render(helm, example)).spec.initContainers[0],
      ]
      for (const container of containers) {
        for (const name of Object.keys(env(container))) {
          assert.ok(name in settings || name.replace(/_FILE$/, '') in settings, name)
        }
      }
    })

    it('runs every container under the restricted Pod Security Standard', () => {
      const objects = [...render(helm, chart, everything), ...render(helm, example)]
      const specs = objects.flatMap((object) =>
        object.kind === 'Pod'
          ? [object['spec']]
          : object.kind === 'Deployment'
            ? [object['spec'].template.spec]
            : [],
      )
      assert.equal(specs.length, 3)
      for (const { containers, initContainers = [] } of specs) {
        for (const { name, securityContext } of [...containers, ...initContainers]) {
          assert.equal(securityContext.runAsNonRoot, true, name)
          assert.equal(securityContext.allowPrivilegeEscalation, false, name)
          assert.deepEqual(securityContext.capabilities.drop, ['ALL'], name)
          assert.equal(securityContext.seccompProfile.type, 'RuntimeDefault', name)
        }
      }
    })

    it('runs the gateway with a caller key, its Service’s names, and time to drain', () => {
      const objects = render(helm, chart, everything)
      const { spec } = podOf(objects)
      const gateway = env(spec.containers[0])
      assert.equal(gateway['LISTEN'], '0.0.0.0:8080')
      assert.equal(gateway['CALLER_KEY_FILE'], '/run/secrets/token-sidecar/caller/caller-key')
      assert.ok(
        gateway['ALLOWED_HOSTS']?.split(',').includes(`${find(objects, 'Service').metadata.name}.shops.svc`),
      )
      assert.equal(spec.containers[0].readinessProbe.httpGet.path, '/readyz')
      assert.equal(spec.terminationGracePeriodSeconds, 35)
      assert.equal(find(objects, 'Deployment')['spec'].replicas, undefined, 'the autoscaler decides')
      assert.equal(find(render(helm, chart, everything.slice(0, 2)), 'Deployment')['spec'].replicas, 2)
    })

    it('selects, monitors and protects the gateway’s own pods', () => {
      const objects = render(helm, chart, everything)
      const { labels } = find(objects, 'Deployment')['spec'].template.metadata
      const selectors = [
        find(objects, 'Service')['spec'].selector,
        find(objects, 'Deployment')['spec'].selector.matchLabels,
        find(objects, 'PodDisruptionBudget')['spec'].selector.matchLabels,
        find(objects, 'NetworkPolicy')['spec'].podSelector.matchLabels,
        find(objects, 'PodMonitor')['spec'].selector.matchLabels,
      ]
      for (const selector of selectors) {
        for (const [name, value] of Object.entries(selector)) assert.equal(labels[name], value)
      }
    })

    const wrong: readonly (readonly [value: string, says: RegExp])[] = [
      ['setings.UPSTREAM_URL=https://x', /setings/],
      ['store.kind=etcd', /kind/],
      ['store.kind=redis', /store\.redis\.existingSecret/],
      ['settings.LISTEN=0.0.0.0:80', /LISTEN|settings/],
      ['settings.CLIENT_SECRET=abc', /CLIENT_SECRET|settings/],
      ['settings.UPSTREAM_URL=', /UPSTREAM_URL/],
      ['clientSecret.existingSecret=', /clientSecret\.existingSecret/],
      ['gateway.enabled=true', /gateway\.callerKey\.existingSecret/],
      ['image.digest=latest', /digest/],
      ['ports.proxy=80', /proxy/],
    ]
    for (const [value, says] of wrong) {
      it(`refuses ${value}, and says where`, () => {
        assert.match(refusal(helm, chart, [value]) ?? 'taken', says)
      })
    }

    it('warns of replicas that do not share a token, and of a secret among the values', () => {
      assert.doesNotMatch(notes(helm, chart, []), /WARNING/)
      assert.match(notes(helm, chart, ['store.kind=memory']), /WARNING: store\.kind is memory/)
      const gateway = ['store.kind=memory', 'gateway.enabled=true', 'gateway.callerKey.existingSecret=key']
      assert.match(notes(helm, chart, gateway), /The gateway has 2\./)
      assert.match(notes(helm, chart, ['clientSecret.value=s3cret']), /WARNING: clientSecret\.value/)
    })

    it('is what the files for people without Helm were made from', () => {
      for (const [name, text] of manifests(helm))
        assert.equal(readFileSync(join('helm/kustomize', name), 'utf8'), text, name)
    })
  })
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
    const schema = JSON.parse(readFileSync('helm/token-sidecar/values.schema.json', 'utf8'))
    const names = Object.keys(schema.properties).filter((name) => name !== 'global')
    assert.deepEqual(names.sort(), Object.keys(values).sort())
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

// biome-ignore lint/suspicious/noExplicitAny: what a test reads of it, that test checks
function podOf(objects: readonly KubernetesObject[]): any {
  return find(objects, 'Deployment')['spec'].template
}

function mounts(container: { volumeMounts?: readonly { name: string }[] }): string[] {
  return (container.volumeMounts ?? []).map(({ name }) => name)
}

function env(container: { env: readonly { name: string; value?: string }[] }): Record<string, string> {
  return Object.fromEntries(container.env.map(({ name, value }) => [name, value ?? '']))
}
