import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { keepAliveAgent, programSetting, tokenHeader } from './program-setting.ts'

const { port, upstreamUrl, token } = programSetting
const app = express()
app.disable('x-powered-by')
app.use(
  createProxyMiddleware({
    target: upstreamUrl,
    agent: keepAliveAgent(),
    headers: { [tokenHeader]: token },
  }),
)
app.listen(port, '127.0.0.1', 4096)
