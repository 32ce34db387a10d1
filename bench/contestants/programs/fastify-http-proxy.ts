import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { programSetting, tokenHeader } from './program-setting.ts'

const { port, upstreamUrl, token, ca } = programSetting
// Unless told, it verifies no certificate.
const verified = ca === undefined ? {} : { connect: { ca, rejectUnauthorized: true } }
const app = fastify({ bodyLimit: 100_000_000 })
app.register(httpProxy, {
  upstream: upstreamUrl,
  undici: { connections: 512, pipelining: 1, ...verified },
  replyOptions: {
    rewriteRequestHeaders: (_request, headers) => ({ ...headers, [tokenHeader]: token }),
  },
})
await app.listen({ port, host: '127.0.0.1', backlog: 4096 })
