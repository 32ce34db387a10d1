import { createRelay } from '../../proxy/relay/relay.ts'
import { forwarderContract } from './contract.ts'

forwarderContract('relay', createRelay)
