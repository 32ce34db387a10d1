import { createHttpProxyForwarder } from '../../proxy/relay/http-proxy-forwarder.ts'
import { forwarderContract } from './contract.ts'

forwarderContract('http-proxy', createHttpProxyForwarder)
