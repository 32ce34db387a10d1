/** Where a listener waits. Port 0 picks a free one; an IPv6 host is held without brackets. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** `http://127.0.0.1:8080`, `http://[::1]:8080` or `unix:/run/sidecar.sock`: how an address is shown to people. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `http://${host}:${address.port}`
}

/** Whether only processes of this host can reach the address. A socket file is guarded by its mode and its directory. */
export function isLocal(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  return address.host === 'localhost' || address.host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address.host)
}
