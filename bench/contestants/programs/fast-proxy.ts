import { createServer, type IncomingHttpHeaders } from 'node:http'
import fastProxy from 'fast-proxy'
import { programSetting, tokenHeader } from './program-setting.ts'

const { port, upstreamUrl, token, ca } = programSetting
// undici is the faster of its engines. It refuses a Connection field, which is the client's own business anyway.
const { proxy } = fastProxy({
  base: upstreamUrl,
  undici: { connections: 512, pipelining: 1, ...(ca === undefined ? {} : { connect: { ca } }) },
})
const rewriteRequestHeaders = (_req: unknown, headers: IncomingHttpHeaders) => {
  const { connection, ...rest } = headers
  return { ...rest, [tokenHeader]: token }
}
createServer((req, res) => {
  proxy(req, res, req.url ?? '/', { rewriteRequestHeaders })
}).listen(port, '127.0.0.1', 4096)
