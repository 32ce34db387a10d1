import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contestant, type Setting, TOKEN_HEADER } from './contestant.ts'
import { installedVersion } from './installed.ts'

/** Envoy with one worker thread and no access log. JSON is YAML, so its configuration is written as JSON. */
export const envoy: Contestant = {
  name: 'envoy',
  version: () => installedVersion('envoy', ['--version'], /\/(\d+\.\d+\.\d+)/),
  launch: (setting) => {
    const file = join(setting.dir, 'envoy.yaml')
    writeFileSync(file, JSON.stringify(configuration(setting), null, 2))
    return {
      command: 'envoy',
      args: ['-c', file, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart'],
      env: {},
    }
  },
}

function configuration(setting: Setting): object {
  const { port, upstream } = setting
  const extension = (path: string) => `type.googleapis.com/envoy.extensions.${path}`
  const address = (port_value: number) => ({ socket_address: { address: '127.0.0.1', port_value } })
  const manager = {
    '@type': extension('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'bench',
    generate_request_id: false,
    route_config: {
      virtual_hosts: [{ name: 'bench', domains: ['*'], routes: [route(setting.token)] }],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': extension('filters.http.router.v3.Router'), suppress_envoy_headers: true },
      },
    ],
  }
  const listener = {
    name: 'callers',
    address: address(port),
    filter_chains: [
      { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
    ],
  }
  const cluster = {
    name: 'upstream',
    type: 'STATIC',
    load_assignment: {
      cluster_name: 'upstream',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream.port) } }] }],
    },
    ...(upstream.tls ? { transport_socket: tls(setting.caFile) } : {}),
  }
  return { static_resources: { listeners: [listener], clusters: [cluster] } }
}

function route(token: string): object {
  return {
    match: { prefix: '/' },
    route: { cluster: 'upstream', timeout: '0s' },
    request_headers_to_add: [
      { header: { key: TOKEN_HEADER, value: token }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  }
}

function tls(caFile: string): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: 'localhost',
      common_tls_context: {
        validation_context: {
          trusted_ca: { filename: caFile },
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'localhost' } }],
        },
      },
    },
  }
}
