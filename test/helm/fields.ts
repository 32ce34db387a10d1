/** Fields of Kubernetes objects that the chart may use, by the path they are under; an array's entries have the array's path. */
const pod = (under: string): Record<string, string> => ({
  [under]:
    'serviceAccountName automountServiceAccountToken imagePullSecrets terminationGracePeriodSeconds securityContext initContainers containers volumes topologySpreadConstraints nodeSelector tolerations affinity restartPolicy',
  [`${under}.securityContext`]: 'runAsNonRoot seccompProfile',
  [`${under}.securityContext.seccompProfile`]: 'type',
  [`${under}.topologySpreadConstraints`]: 'maxSkew topologyKey whenUnsatisfiable labelSelector',
  [`${under}.topologySpreadConstraints.labelSelector`]: 'matchLabels',
  [`${under}.volumes`]: 'name secret projected',
  [`${under}.volumes.secret`]: 'secretName items',
  [`${under}.volumes.secret.items`]: 'key path',
  [`${under}.volumes.projected`]: 'sources',
  [`${under}.volumes.projected.sources`]: 'serviceAccountToken configMap downwardAPI',
  [`${under}.volumes.projected.sources.serviceAccountToken`]: 'path expirationSeconds audience',
  [`${under}.volumes.projected.sources.configMap`]: 'name items',
  [`${under}.volumes.projected.sources.configMap.items`]: 'key path',
  [`${under}.volumes.projected.sources.downwardAPI`]: 'items',
  [`${under}.volumes.projected.sources.downwardAPI.items`]: 'path fieldRef',
  [`${under}.volumes.projected.sources.downwardAPI.items.fieldRef`]: 'fieldPath',
  ...container(`${under}.initContainers`),
  ...container(`${under}.containers`),
})

const container = (under: string): Record<string, string> => ({
  [under]:
    'name image imagePullPolicy command args env ports startupProbe livenessProbe readinessProbe resources securityContext volumeMounts restartPolicy lifecycle',
  [`${under}.env`]: 'name value valueFrom',
  [`${under}.env.valueFrom`]: 'secretKeyRef',
  [`${under}.env.valueFrom.secretKeyRef`]: 'name key',
  [`${under}.ports`]: 'name containerPort',
  ...Object.fromEntries(
    ['startupProbe', 'livenessProbe', 'readinessProbe'].flatMap((probe) => [
      [`${under}.${probe}`, 'httpGet periodSeconds failureThreshold'],
      [`${under}.${probe}.httpGet`, 'path port'],
    ]),
  ),
  [`${under}.resources`]: 'requests limits',
  [`${under}.resources.requests`]: 'cpu memory',
  [`${under}.resources.limits`]: 'cpu memory',
  [`${under}.securityContext`]:
    'runAsNonRoot runAsUser runAsGroup allowPrivilegeEscalation readOnlyRootFilesystem capabilities seccompProfile',
  [`${under}.securityContext.capabilities`]: 'drop',
  [`${under}.securityContext.seccompProfile`]: 'type',
  [`${under}.volumeMounts`]: 'name mountPath readOnly',
  [`${under}.lifecycle`]: 'preStop',
  [`${under}.lifecycle.preStop`]: 'sleep',
  [`${under}.lifecycle.preStop.sleep`]: 'seconds',
})

const metadata = (under: string): Record<string, string> => ({ [under]: 'name namespace labels annotations' })

const kinds: Record<string, Record<string, string>> = {
  'v1/Secret': { '': 'apiVersion kind metadata type stringData', ...metadata('metadata') },
  'v1/ConfigMap': { '': 'apiVersion kind metadata data', ...metadata('metadata') },
  'v1/ServiceAccount': {
    '': 'apiVersion kind metadata automountServiceAccountToken',
    ...metadata('metadata'),
  },
  'v1/Service': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'selector ports',
    'spec.ports': 'name port targetPort',
  },
  'v1/Pod': { '': 'apiVersion kind metadata spec', ...metadata('metadata'), ...pod('spec') },
  'apps/v1/Deployment': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'replicas selector template',
    'spec.selector': 'matchLabels',
    'spec.template': 'metadata spec',
    ...metadata('spec.template.metadata'),
    ...pod('spec.template.spec'),
  },
  'rbac.authorization.k8s.io/v1/Role': {
    '': 'apiVersion kind metadata rules',
    ...metadata('metadata'),
    rules: 'apiGroups resources resourceNames verbs',
  },
  'rbac.authorization.k8s.io/v1/RoleBinding': {
    '': 'apiVersion kind metadata roleRef subjects',
    ...metadata('metadata'),
    roleRef: 'apiGroup kind name',
    subjects: 'kind name namespace',
  },
  'policy/v1/PodDisruptionBudget': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'maxUnavailable selector',
    'spec.selector': 'matchLabels',
  },
  'autoscaling/v2/HorizontalPodAutoscaler': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'scaleTargetRef minReplicas maxReplicas metrics',
    'spec.scaleTargetRef': 'apiVersion kind name',
    'spec.metrics': 'type resource',
    'spec.metrics.resource': 'name target',
    'spec.metrics.resource.target': 'type averageUtilization',
  },
  'networking.k8s.io/v1/NetworkPolicy': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'podSelector policyTypes ingress',
    'spec.podSelector': 'matchLabels',
    'spec.ingress': 'ports from',
    'spec.ingress.ports': 'port',
    'spec.ingress.from': 'podSelector namespaceSelector ipBlock',
  },
  'monitoring.coreos.com/v1/PodMonitor': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'selector podMetricsEndpoints',
    'spec.selector': 'matchLabels',
    'spec.podMetricsEndpoints': 'port path interval',
  },
  'monitoring.coreos.com/v1/PrometheusRule': {
    '': 'apiVersion kind metadata spec',
    ...metadata('metadata'),
    spec: 'groups',
    'spec.groups': 'name rules',
    'spec.groups.rules': 'alert expr for labels annotations',
  },
}

/** Below these, names are the user's. */
const free =
  /(^|\.)(labels|annotations|matchLabels|nodeSelector|affinity|data|stringData|selector|podSelector|namespaceSelector)$/

/** Fields of an object that Kubernetes does not know by that name at that place. */
export function unknownFields(object: { readonly apiVersion: string; readonly kind: string }): string[] {
  const known = kinds[`${object.apiVersion}/${object.kind}`]
  if (known === undefined) return [`${object.apiVersion}/${object.kind}`]
  return walk(object, '', known)
}

function walk(value: unknown, path: string, known: Record<string, string>): string[] {
  if (Array.isArray(value)) return value.flatMap((entry) => walk(entry, path, known))
  if (typeof value !== 'object' || value === null) return []
  const names = known[path]?.split(' ')
  if (names === undefined) return free.test(path) ? [] : [path]
  return Object.entries(value).flatMap(([name, inner]) => {
    const at = path === '' ? name : `${path}.${name}`
    return names.includes(name) ? walk(inner, at, known) : [at]
  })
}
