import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contestant, type Setting, TOKEN_HEADER } from './contestant.ts'
import { installedVersion } from './installed.ts'

/** nginx with one worker; bodies are streamed both ways, as by every other contestant, instead of put in files first. */
export const nginx: Contestant = {
  name: 'nginx',
  version: () => installedVersion('nginx', ['-v'], /nginx\/(\S+)/),
  launch: (setting) => {
    const file = join(setting.dir, 'nginx.conf')
    writeFileSync(file, configuration(setting))
    return { command: 'nginx', args: ['-p', setting.dir, '-c', file, '-e', 'stderr'], env: {} }
  },
}

function configuration({ port, upstream, caFile, token, dir }: Setting): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  // As root, the worker would become nobody and could not enter the directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const tls = `
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${caFile};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_session_reuse on;`
  return `${user}daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  server_tokens off;
  client_max_body_size 0;
  keepalive_requests 100000000;
${temporary.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}
  upstream bench {
    server 127.0.0.1:${upstream.port};
    keepalive 512;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass ${upstream.tls ? 'https' : 'http'}://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header ${TOKEN_HEADER} "${token}";
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;${upstream.tls ? tls : ''}
    }
  }
}
`
}
