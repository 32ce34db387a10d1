import { createServer } from 'node:http'
import { createProxyServer } from 'httpxy'
import { keepAliveAgent, programSetting, tokenHeader } from './program-setting.ts'

const { port, upstreamUrl, token } = programSetting
const proxy = createProxyServer({
  target: upstreamUrl,
  agent: keepAliveAgent(),
  headers: { [tokenHeader]: token },
})
proxy.on('error', (_error, _req, res) => {
  if (res !== undefined && 'writeHead' in res && !res.headersSent) res.writeHead(502).end()
  else res?.destroy()
})
createServer((req, res) => {
  proxy.web(req, res).catch(() => res.destroy())
}).listen(port, '127.0.0.1', 4096)
