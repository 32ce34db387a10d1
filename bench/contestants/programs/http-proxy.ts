import { createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { keepAliveAgent, programSetting, tokenHeader } from './program-setting.ts'

const { port, upstreamUrl, token } = programSetting
// `headers` replaces what the client sent under the same name.
const proxy = httpProxy.createProxyServer({
  target: upstreamUrl,
  agent: keepAliveAgent(),
  headers: { [tokenHeader]: token },
})
proxy.on('error', (_error, _req, res) => {
  if ('writeHead' in res && !res.headersSent) res.writeHead(502).end()
  else res.destroy()
})
createServer((req, res) => proxy.web(req, res)).listen(port, '127.0.0.1', 4096)
