import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parse, stringify } from 'yaml'
import type { Teardown } from '../support/sidecar-process-program.ts'
import { tempDir } from '../support/temp-dir.ts'
import type { KubernetesObject } from './helm.ts'
import { secretFrom } from './protobuf-secret.ts'

/** One change that was asked for. */
export interface Change {
  readonly method: string
  /** `/api/v1/namespaces/shops/secrets/NAME`. */
  readonly path: string
  readonly contentType: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test reads of it, that test checks
  readonly body: any
}

/** Kinds that the chart makes, and where they are. */
const resources: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: {
    Secret: 'secrets',
    ServiceAccount: 'serviceaccounts',
    Pod: 'pods',
    Service: 'services',
    ConfigMap: 'configmaps',
  },
  'apps/v1': { Deployment: 'deployments' },
  'rbac.authorization.k8s.io/v1': { Role: 'roles', RoleBinding: 'rolebindings' },
  'networking.k8s.io/v1': { NetworkPolicy: 'networkpolicies' },
  'policy/v1': { PodDisruptionBudget: 'poddisruptionbudgets' },
}

/**
 * As much of an API server as Helm needs to install and upgrade: it keeps objects and what it was told to change. Patches of every kind
 * are merged, so it shows what Helm asks for, and says nothing of how a real server owns fields.
 */
export class HelmApiServer {
  readonly objects = new Map<string, KubernetesObject>()
  readonly changes: Change[] = []
  /** For KUBECONFIG. */
  readonly kubeconfig = join(tempDir(), 'kubeconfig')

  static async start(teardown: Teardown): Promise<HelmApiServer> {
    const api = new HelmApiServer()
    const server = createServer(async (request, response) => {
      const { status, body } = await api.#answer(request)
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    teardown.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const cluster = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    writeFileSync(
      api.kubeconfig,
      stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'test', cluster }],
        users: [{ name: 'test', user: {} }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'shops' } }],
        'current-context': 'test',
      }),
    )
    return api
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api')
    const method = request.method ?? 'GET'
    if (method === 'GET') return this.#read(pathname, searchParams)
    const contentType = request.headers['content-type'] ?? ''
    const bytes = await buffer(request)
    const body = contentType.endsWith('protobuf') ? secretFrom(bytes) : parse(bytes.toString())
    this.changes.push({ method, path: pathname, contentType, body })
    if (method === 'DELETE') {
      this.objects.delete(pathname)
      return { status: 200, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } }
    }
    const path = method === 'POST' ? `${pathname}/${body.metadata.name}` : pathname
    const object = method === 'PATCH' ? merged(this.objects.get(path) ?? {}, body) : body
    this.objects.set(path, object as KubernetesObject)
    return { status: method === 'POST' ? 201 : 200, body: object }
  }

  #read(path: string, query: URLSearchParams): { status: number; body: unknown } {
    const known = discovery(path)
    if (known !== null) return { status: 200, body: known }
    const object = this.objects.get(path)
    if (object !== undefined) return { status: 200, body: object }
    if (
      /\/(\w+)$/.test(path) &&
      Object.values(resources).some((kinds) => Object.values(kinds).includes(path.split('/').at(-1) ?? ''))
    ) {
      const wanted = (query.get('labelSelector') ?? '').split(',').filter((pair) => pair.includes('='))
      const items = [...this.objects]
        .filter(([at]) => at.startsWith(`${path}/`))
        .map(([, item]) => item)
        .filter(({ metadata }) =>
          wanted.every((pair) => metadata.labels?.[pair.split('=')[0] ?? ''] === pair.split('=')[1]),
        )
      return { status: 200, body: { apiVersion: 'v1', kind: 'SecretList', metadata: {}, items } }
    }
    const body = {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      reason: 'NotFound',
      code: 404,
      message: path,
    }
    return { status: 404, body }
  }
}

function discovery(path: string): unknown {
  if (path === '/version') return { major: '1', minor: '35', gitVersion: 'v1.35.0' }
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] }
  if (path === '/apis') {
    const groups = Object.keys(resources).flatMap((groupVersion) => {
      const [name, version] = groupVersion.split('/')
      if (version === undefined) return []
      const one = { groupVersion, version }
      return [{ name, versions: [one], preferredVersion: one }]
    })
    return { kind: 'APIGroupList', apiVersion: 'v1', groups }
  }
  const groupVersion = /^\/apis?\/(.+)$/.exec(path)?.[1] ?? ''
  const kinds = resources[groupVersion]
  if (kinds === undefined) return null
  const listed = Object.entries(kinds).map(([kind, name]) => ({
    kind,
    name,
    singularName: '',
    namespaced: true,
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  }))
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: listed }
}

/** JSON Merge Patch (RFC 7386). */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Record<string, unknown> = { ...(isObject(target) ? target : {}) }
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = merged(result[name], value)
  }
  return result
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
