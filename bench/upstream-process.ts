import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startAndReadLine, startChild } from './child.ts'
import { installedVersion } from './contestants/installed.ts'
import { firstAnswer, freePort } from './first-answer.ts'
import { bodyBytes } from './scenarios.ts'
import type { StubPorts, UpstreamPorts } from './upstream-types.ts'

/** The running upstream. */
export interface Upstream {
  readonly ports: UpstreamPorts
  /** For the report. */
  readonly name: string
  stop(): Promise<void>
}

/**
 * Starts the upstream: the stub of upstream.ts, and nginx beside it for the GETs that are timed, where it is installed. With both
 * the upstream and the load on one processor, the stub and not a fast contestant would be what a run waits for; nginx costs a
 * third of it. It cannot take the POSTs, since it answers them before it has read their bodies. `certificates` is null
 * where there are none.
 */
export async function startUpstream(
  programs: string,
  certificates: string | null,
  token: string,
  dir: string,
): Promise<Upstream> {
  const { child: stub, line } = await startAndReadLine(process.execPath, [join(programs, 'upstream.mjs')], {
    BENCH_TOKEN: token,
    ...(certificates === null ? {} : { BENCH_CERTIFICATES: certificates }),
  })
  const stubPorts = JSON.parse(line) as StubPorts
  if (installedVersion('nginx', ['-v'], /(.+)/) === null) {
    const ports = { ...stubPorts, get: stubPorts.plain, getTls: stubPorts.tls }
    return { ports, name: 'a stub in Node', stop: () => stub.stop() }
  }
  const get = await freePort()
  const getTls = certificates === null ? 0 : await freePort()
  const nginx = await startNginx(get, getTls, certificates, join(dir, 'upstream'))
  return {
    ports: { ...stubPorts, get, getTls },
    name: 'nginx for GET, a stub in Node for POST',
    async stop() {
      await nginx.stop()
      await stub.stop()
    },
  }
}

async function startNginx(
  port: number,
  tlsPort: number,
  certificates: string | null,
  dir: string,
): Promise<Child> {
  mkdirSync(join(dir, 'files'), { recursive: true })
  writeFileSync(join(dir, 'files', 'large'), Buffer.alloc(bodyBytes.large, 'l'))
  writeFileSync(join(dir, 'files', 'huge'), Buffer.alloc(bodyBytes.huge, 'h'))
  writeFileSync(join(dir, 'nginx.conf'), configuration(port, tlsPort, certificates, dir))
  const child = startChild('load', 'nginx', ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr'])
  await firstAnswer(port, child, 5000)
  return child
}

function configuration(port: number, tlsPort: number, certificates: string | null, dir: string): string {
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const tls = `
    listen 127.0.0.1:${tlsPort} ssl backlog=4096;
    ssl_certificate ${certificates}/trusted.pem;
    ssl_certificate_key ${certificates}/trusted.key;`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const json = JSON.stringify({ success: true, irn: '' })
  const small = JSON.stringify({ success: true, irn: 'f'.repeat(bodyBytes.small - json.length) })
  return `${user}daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  default_type application/json;
  sendfile on;
  etag off;
  open_file_cache max=16;
${temporary.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}
  server {
    listen 127.0.0.1:${port} backlog=4096;${certificates === null ? '' : tls}
    root ${dir}/files;
    location = /small { return 200 '${small}'; }
  }
}
`
}
