import { isIPv4, isIPv6 } from 'node:net'
import type { ListenAddress } from '../../proxy/lib/address.ts'
import { listOf, notThis, type Parsed, type Parser } from './parsed.ts'

const URL_FORM = 'must be an http or https URL, such as https://api.example.com/base'

/**
 * An http or https URL without credentials, query and fragment. The checks on the text come first because the `URL`
 * class repairs what it is given: it drops tabs, turns backslashes round and accepts `http:host`.
 */
export const httpUrl: Parser<URL> = (text) => {
  if (!/^https?:\/\/[^/]/i.test(text) || !/^[!-~]+$/.test(text) || text.includes('\\')) {
    return { problem: URL_FORM }
  }
  if (/[?#]/.test(text)) return { problem: 'must not have a query or a fragment' }
  const [authority = '', ...segments] = text.slice(text.indexOf('//') + 2).split('/')
  if (authority.includes('@')) return { problem: 'must not hold a user name or password' }
  if (segments.some((segment) => /^(\.|%2e){1,2}$/i.test(segment))) {
    return { problem: 'must not have "." or ".." in its path' }
  }
  if (!URL.canParse(text)) return { problem: URL_FORM }
  const value = new URL(text)
  if (value.port === '0') return { problem: 'must not have port 0' }
  return { value }
}

/** An `httpUrl` that paths are appended to: slashes at its end are removed, so `https://host/base/` is `https://host/base`. */
export const baseUrl: Parser<URL> = (text) => {
  const parsed = httpUrl(text)
  if ('value' in parsed) parsed.value.pathname = parsed.value.pathname.replace(/\/+$/, '')
  return parsed
}

const LISTEN_FORM = 'must be host:port, [::1]:port or unix:/path.sock'

/** Bytes of a socket's path that every system has room for, the closing zero aside (macOS 103, Linux 107). */
const LONGEST_SOCKET_PATH_BYTES = 103

/** Where a listener waits: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/sidecar.sock`. Port 0 picks a free one. */
export const listenAddress: Parser<ListenAddress> = (text) => {
  if (text.startsWith('unix:')) return socketPath(text.slice('unix:'.length))
  const match = /^(?:\[([^\]]*)\]|([^:[\]]+)):(0|[1-9]\d{0,4})$/.exec(text)
  if (match === null) return { problem: `${LISTEN_FORM}${notThis(text)}` }
  const port = Number(match[3])
  if (port > 65_535) return { problem: `must have a port from 0 to 65535${notThis(text)}` }
  const [, v6, name = ''] = match
  if (v6 !== undefined ? !isIPv6(v6) : !isHostName(name)) return { problem: `${LISTEN_FORM}${notThis(text)}` }
  return { value: { kind: 'tcp', host: v6 ?? name.toLowerCase(), port } }
}

function socketPath(path: string): Parsed<ListenAddress> {
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0')) {
    return { problem: 'must name a socket by its absolute path, such as unix:/run/sidecar.sock' }
  }
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH_BYTES) {
    return { problem: `must name a socket by a path of at most ${LONGEST_SOCKET_PATH_BYTES} bytes` }
  }
  return { value: { kind: 'unix', path } }
}

/** Host names as a `Host` field has them, in lower case and without port; IPv6 in brackets and in its shortest form. */
export const hostList: Parser<string[]> = (text) => {
  const parsed = listOf(allowedHost)(text)
  return 'value' in parsed ? { value: [...new Set(parsed.value)] } : parsed
}

const allowedHost: Parser<string> = (text) => {
  const v6 = /^\[([0-9a-f:.]+)\]$/i.exec(text)?.[1]
  // The first isIPv6() of a process costs 5 ms on Node 20: it is a large regular expression.
  if (v6 !== undefined && URL.canParse(`http://[${v6}]`)) return { value: new URL(`http://[${v6}]`).hostname }
  if (text.includes(':') && isIPv6(text)) {
    return { problem: 'must have an IPv6 address in brackets, such as [::1]' }
  }
  if (/:\d*$/.test(text)) return { problem: 'must not have a port' }
  if (isHostName(text)) return { value: text.toLowerCase() }
  return { problem: 'must be a host name or an IP address' }
}

const HOST_LABEL = /^[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?$/i

/** A name or an IPv4 address. Underscores are allowed because Compose service names have them. */
function isHostName(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return isIPv4(text)
  return text.length <= 253 && text.split('.').every((label) => HOST_LABEL.test(label))
}
