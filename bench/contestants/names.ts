/** Every contestant, in the order of a round and of the tables. */
export const contestantNames: readonly string[] = [
  'direct',
  'token-sidecar',
  'nginx',
  'haproxy',
  'envoy',
  'fast-proxy',
  '@fastify/http-proxy',
  'http-proxy-3',
  'httpxy',
  'http-proxy',
  'http-proxy-middleware',
]
