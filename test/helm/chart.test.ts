import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { settings } from '../../config/settings.ts'
import { manifests } from '../../scripts/manifests.ts'
import {
  chartsWith,
  find,
  helmSkip,
  helms,
  type KubernetesObject,
  notes,
  refusal,
  render,
  renderedText,
} from './helm.ts'
import { typeErrors } from './kubernetes-types.ts'

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
      assert.deepEqual(kinds.sort(), ['Pod', 'Role', 'RoleBinding', 'Secret', 'ServiceAccount'])
    })

    it('passes Helm’s own lint', () => {
      for (const one of [chart, example]) {
        const { status, stdout } = spawnSync(helm, ['lint', '--strict', one], { encoding: 'utf8' })
        assert.equal(status, 0, stdout)
      }
    })

    it('renders every template, with fields and types that Kubernetes knows', () => {
      const values = [
        ...everything,
        'clientSecret.value=s3cret',
        'monitoring.rules.runbookBase=https://docs/',
      ]
      const text = renderedText(helm, chart, values)
      const sources = new Set(
        [...text.matchAll(/^# Source: token-sidecar\/templates\/(.+)$/gm)].map(([, name]) => name),
      )
      // Names that begin with _ are for other templates; notes are shown, and checks make nothing.
      const templates = readdirSync(join(chart, 'templates')).filter((name) =>
        /^(?!checks)[a-z].*\.yaml$/.test(name),
      )
      assert.deepEqual([...sources].sort(), templates.sort())
      assert.deepEqual(typeErrors([...render(helm, chart, values), ...render(helm, example)]), [])
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
      assert.equal(specs.length, 5)
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

    it('leaves alone the pods of a parent chart that has a gateway of its own', () => {
      const objects = render(helm, chart, everything)
      const spreads = podOf(objects).spec.topologySpreadConstraints
      const selectors = [
        find(objects, 'Service')['spec'].selector,
        find(objects, 'Deployment')['spec'].selector.matchLabels,
        find(objects, 'PodDisruptionBudget')['spec'].selector.matchLabels,
        find(objects, 'NetworkPolicy')['spec'].podSelector.matchLabels,
        ...spreads.map(
          (spread: { labelSelector: { matchLabels: object } }) => spread.labelSelector.matchLabels,
        ),
      ]
      assert.equal(selectors.length, 5)
      for (const selector of selectors) {
        assert.deepEqual(selector, {
          'app.kubernetes.io/name': 'token-sidecar',
          'app.kubernetes.io/instance': 'shop',
          'app.kubernetes.io/component': 'gateway',
        })
      }
    })

    it('gives the gateway time for leaving the Service, for SHUTDOWN_TIMEOUT, and some to end', () => {
      const seconds = (...values: string[]) =>
        podOf(render(helm, chart, [...everything, ...values])).spec.terminationGracePeriodSeconds
      assert.equal(settings.SHUTDOWN_TIMEOUT.fallback, '25s', 'which the template takes for granted')
      assert.equal(seconds(), 5 + 25 + 5)
      assert.equal(seconds('gateway.preStopSleepSeconds=20'), 20 + 25 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT=90s'), 5 + 90 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT=2m'), 5 + 120 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT=1h'), 5 + 3600 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT=1500ms'), 5 + 2 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT=0s'), 5 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT='), 5 + 25 + 5)
      assert.equal(seconds('settings.SHUTDOWN_TIMEOUT=90s', 'gateway.terminationGracePeriodSeconds=200'), 200)
    })

    it('runs the gateway with the priority that is asked for, and else with the cluster’s own', () => {
      assert.equal('priorityClassName' in podOf(render(helm, chart, everything)).spec, false)
      const objects = render(helm, chart, [...everything, 'gateway.priorityClassName=important'])
      assert.equal(podOf(objects).spec.priorityClassName, 'important')
      assert.deepEqual(typeErrors(objects), [])
    })

    const wrong: readonly (readonly [value: string, says: RegExp])[] = [
      ['gateway.terminationGracePeriodSeconds=-1', /terminationGracePeriodSeconds/],
      ['gateway.priorityClassName=1', /priorityClassName/],
      ['setings.UPSTREAM_URL=https://x', /setings/],
      ['store.kind=etcd', /kind/],
      ['store.kind=redis', /store\.redis\.existingSecret/],
      ['settings.LISTEN=0.0.0.0:80', /LISTEN|settings/],
      ['settings.UPSTREM_URL=https://x', /UPSTREM_URL|settings/],
      ['settings.ROUTE_GLS_CLIENT_SECRET=abc', /ROUTE_GLS_CLIENT_SECRET|settings/],
      ['settings.ROUTE_GLS_PREFX=/gls', /ROUTE_GLS_PREFX|settings/],
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

    it('refuses a SHUTDOWN_TIMEOUT that it cannot add up, as the sidecar would', () => {
      for (const value of ['90', '1.5m', 'soon']) {
        const said = refusal(helm, chart, [...everything, `settings.SHUTDOWN_TIMEOUT=${value}`])
        assert.match(said ?? 'taken', /settings\.SHUTDOWN_TIMEOUT: must be a whole number with a unit/, value)
      }
    })

    it('warns of replicas that do not share a token, and of a secret among the values', () => {
      assert.doesNotMatch(notes(helm, chart, []), /WARNING/)
      assert.match(notes(helm, chart, ['store.kind=memory']), /WARNING: store\.kind is memory/)
      const gateway = ['store.kind=memory', 'gateway.enabled=true', 'gateway.callerKey.existingSecret=key']
      assert.match(notes(helm, chart, gateway), /The gateway has 2\./)
      assert.match(notes(helm, chart, ['clientSecret.value=s3cret']), /WARNING: clientSecret\.value/)
    })

    it('is what the files for people without Helm were made from', () => {
      for (const [name, text] of manifests(helm))
        assert.equal(readFileSync(join('helm', name), 'utf8'), text, name)
    })
  })
}

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
