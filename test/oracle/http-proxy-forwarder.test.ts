import { forwarderContract } from '../relay/contract.ts'
import { createHttpProxyForwarder } from './http-proxy-forwarder.ts'

forwarderContract('http-proxy', createHttpProxyForwarder)
