import { forwarderContract } from '../relay/contract.ts'
import { createHttpProxyForwarder } from './http-proxy-forwarder.ts'

forwarderContract('http-proxy', createHttpProxyForwarder, {
  'max-connections': 'a server of node:http closes a connection beyond its limit at once',
  'drain-early': 'node:http ends a connection with its answer, and what is still sent on it resets that',
  'drain-unread': 'closeIdleConnections ends connections whose call has not been read yet',
})
