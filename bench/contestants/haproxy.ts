import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contestant, type Setting, TOKEN_HEADER } from './contestant.ts'
import { installedVersion } from './installed.ts'

/** HAProxy with one thread and no log. `set-header` removes every copy that the client sent. */
export const haproxy: Contestant = {
  name: 'haproxy',
  version: () => installedVersion('haproxy', ['-v'], /version (\S+)/),
  launch: (setting) => {
    const file = join(setting.dir, 'haproxy.cfg')
    writeFileSync(file, configuration(setting))
    return { command: 'haproxy', args: ['-db', '-f', file], env: {} }
  },
}

function configuration({ port, upstream, caFile, token }: Setting): string {
  const tls = upstream.tls
    ? ` ssl verify required ca-file ${caFile} verifyhost localhost sni str(localhost)`
    : ''
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  http-reuse always
frontend callers
  bind 127.0.0.1:${port} backlog 4096
  http-request set-header ${TOKEN_HEADER} ${token}
  default_backend upstream
backend upstream
  server bench 127.0.0.1:${upstream.port}${tls}
`
}
