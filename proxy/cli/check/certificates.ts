import { X509Certificate } from 'node:crypto'
import type { Config } from '../../../config/config.ts'
import type { Finding } from './finding.ts'

const DAY_MS = 24 * 60 * 60_000
/** Time for a person to notice, ask for a new certificate, and get it. */
const WARNED_DAYS = 21

/** How long a certificate still serves, judged by its dates alone. `todo`: how it is replaced. */
export function dateFinding(
  subject: string,
  what: string,
  { validFromDate, validToDate }: CertificateDates,
  now: number,
  todo: string,
): Finding {
  const days = Math.floor((validToDate.getTime() - now) / DAY_MS)
  const until = validToDate.toISOString().slice(0, 10)
  if (validFromDate.getTime() > now) {
    const from = validFromDate.toISOString()
    return {
      result: 'failed',
      subject,
      found: `${what} is not valid before ${from}`,
      todo: `look at the clock of this host, which says ${new Date(now).toISOString()}; else ${todo}`,
    }
  }
  if (days < 0) return { result: 'failed', subject, found: `${what} expired on ${until}`, todo }
  const found = `${what} is valid for ${days} more days, until ${until}`
  return days < WARNED_DAYS
    ? { result: 'warning', subject, found, todo: `${todo}, before it expires` }
    : { result: 'ok', subject, found }
}

export interface CertificateDates {
  readonly validFromDate: Date
  readonly validToDate: Date
}

/** The certificates that the configuration names: the client's own, and the authority's that ends first. */
export function ownCertificateFindings({ relay }: Config, now: number): Finding[] {
  const { ca, cert } = relay.upstreamTls
  const findings: Finding[] = []
  if (cert !== undefined) {
    const todo = 'put a new certificate into UPSTREAM_CERT_FILE and restart'
    findings.push(dateFinding('UPSTREAM_CERT_FILE', 'the client certificate', datesOf(cert), now, todo))
  }
  if (ca !== undefined) {
    const blocks = ca.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
    const [first] = blocks.map(datesOf).sort((a, b) => a.validToDate.getTime() - b.validToDate.getTime())
    const todo = 'put the new certificate of the authority into UPSTREAM_CA_FILE and restart'
    const what =
      blocks.length === 1 ? 'its certificate' : `of its ${blocks.length} certificates, the first to end`
    if (first !== undefined) findings.push(dateFinding('UPSTREAM_CA_FILE', what, first, now, todo))
  }
  return findings
}

/** `validToDate` is not in Node 20; its text is in GMT and has always been parsed. */
export function datesOf(pem: string | Buffer): CertificateDates {
  const { validFrom, validTo } = new X509Certificate(pem)
  return { validFromDate: new Date(validFrom), validToDate: new Date(validTo) }
}
