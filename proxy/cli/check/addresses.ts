import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { abortable } from '../../lib/abort.ts'
import { codeOf, type Explanation, type Finding } from './finding.ts'

const FAILURES: Readonly<Record<string, Explanation>> = {
  ENOTFOUND: [
    'the name does not resolve',
    'compare it with the host on the page of the product; in a cluster, look at the search domains of the pod',
  ],
  EAI_AGAIN: [
    'no name server answers',
    'look at /etc/resolv.conf and at network policies: the name server needs UDP and TCP port 53',
  ],
  TimeoutError: [
    'no name server answers in time',
    'look at /etc/resolv.conf and at network policies: the name server needs UDP and TCP port 53',
  ],
}

/** What a host's name leads to. */
export async function addressFinding(subject: string, host: string, signal: AbortSignal): Promise<Finding> {
  if (isIP(host) !== 0) return { result: 'ok', subject, found: `${host} is an address, no name to resolve` }
  try {
    const found = await abortable(lookup(host, { all: true, verbatim: true }), signal)
    const families = new Set(found.map(({ family }) => family))
    const kind = families.size === 2 ? 'IPv4 and IPv6' : families.has(6) ? 'IPv6 only' : 'IPv4 only'
    return {
      result: 'ok',
      subject,
      found: `${host} resolves to ${found.map(({ address }) => address).join(', ')} (${kind})`,
    }
  } catch (error) {
    const code = codeOf(error)
    const [why, todo] = FAILURES[code] ?? [
      'the name cannot be resolved',
      'ask the name server for it: getent hosts',
    ]
    return { result: 'failed', subject, found: `${host}: ${why} (${code})`, todo }
  }
}

const notPublic = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  notPublic.addSubnet(net, bits, 'ipv4')
notPublic.addSubnet('::1', 128, 'ipv6')
notPublic.addSubnet('fc00::', 7, 'ipv6')
notPublic.addSubnet('fe80::', 10, 'ipv6')

/**
 * What is known of the address that a server sees this host under, from the one that the connection leaves from: no API tells
 * what Clear sees. Null when that stays on this host.
 */
export function seenFrom(localAddress: string): string | null {
  const address = localAddress.replace(/^::ffff:/, '')
  if (address === '::1' || address.startsWith('127.')) return null
  const isPrivate = notPublic.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return isPrivate
    ? `this host leaves from ${address}, which is private: an IP whitelist needs the public address of the NAT in front of it, ` +
        'which the network team knows and any "what is my IP" service shows from here'
    : `this host leaves from ${address}: an IP whitelist needs that address, unless a NAT changes it on the way`
}
