import type { TrafficCounters } from '../relay/counters.ts'
import type { CredentialState } from '../token/status.ts'
import { Html, type HtmlValue, html } from './html.ts'
import { STYLE } from './page-style.ts'
import { type CredentialDocument, isoInstant, type StatusDocument } from './status.ts'
import { formatSpan } from './time-span.ts'

const REFRESH_S = 5

/**
 * The status page for people: everything /status knows plus the traffic, as plain HTML without a script. It refreshes itself;
 * `now` is epoch ms.
 */
export function statusPage(status: StatusDocument, traffic: TrafficCounters, now: number): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_S}">
<title>${status.ready ? 'ready' : 'not ready'} – token-sidecar</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>
<h1>token-sidecar</h1>
<p><strong class="${status.ready ? 'good' : 'bad'}">${status.ready ? 'Ready' : 'Not ready'}</strong>${
    status.reason === null ? null : html` – ${status.reason}`
  }</p>
</header>
<main>
<section aria-labelledby="credentials">
<h2 id="credentials">Credentials</h2>
${status.credentials.map((credential) => credentialCard(credential, now))}
</section>
<section aria-labelledby="traffic">
<h2 id="traffic">Calls</h2>
<article>${trafficList(traffic)}</article>
</section>
<section aria-labelledby="problems">
<h2 id="problems">Answers of the sidecar’s own</h2>
${problemTable(traffic)}
</section>
<section aria-labelledby="routes">
<h2 id="routes">Routes</h2>
${routeTable(status)}
</section>
</main>
<footer>Version ${status.version}, up ${formatSpan(status.uptime_s * 1000)}, as of ${instant(
    isoInstant(now),
    now,
  )}. The same as JSON: <a href="/status">/status</a>; for Prometheus: <a href="/metrics">/metrics</a>.</footer>
</body>
</html>
`
  return page.text
}

/** Good: nothing to do. Busy: it mends itself. Bad: a person must act. */
const MOODS: Record<CredentialState, 'good' | 'busy' | 'bad'> = {
  starting: 'busy',
  fresh: 'good',
  rotating: 'busy',
  suspect: 'busy',
  backing_off: 'busy',
  rejected: 'bad',
}

function credentialCard(credential: CredentialDocument, now: number): Html {
  const { name, state, mints, store, last_error: last } = credential
  const held = credential.fingerprint !== null
  return html`<article>
<h3>${name} – <span class="${MOODS[state]}">${state.replace('_', ' ')}</span></h3>
${definitions([
  ['Token', held ? html`<code>${credential.fingerprint}</code>` : 'none'],
  ['Generation', credential.generation],
  ['Minted', instant(credential.minted_at, now)],
  [
    'Valid till',
    held && credential.valid_till === null ? 'never expires' : instant(credential.valid_till, now),
  ],
  ['Next refresh', instant(credential.next_refresh_at, now)],
  ['Requests for tokens today', `${mints.today} of ${mints.budget}`],
  ['Sent by this process', `${mints.total}, ${mints.failed} failed`],
  ['Store', html`${store.kind}, ${store.healthy ? 'healthy' : html`<span class="bad">failing</span>`}`],
  ['Last error', last === null ? 'none' : lastError(last, now)],
])}
</article>
`
}

function lastError(last: NonNullable<CredentialDocument['last_error']>, now: number): Html {
  const id = last.error_id === null ? null : html`, error id <code>${last.error_id}</code>`
  return html`<code>${last.code}</code> ${instant(last.at, now)}${id}`
}

function trafficList(traffic: TrafficCounters): Html {
  const { accepted, rejected, failed } = traffic.replays
  return definitions([
    ['In flight', traffic.inFlight],
    ['Of these, waiting for a token', traffic.held],
    ['Sent again', `${accepted + rejected + failed}`],
    ['Of these, accepted', accepted],
    ['Rejected, could not be sent again', traffic.unreplayable],
    ['Connections upstream', `${traffic.upstreamActive} active, ${traffic.upstreamIdle} idle`],
  ])
}

function problemTable(traffic: TrafficCounters): Html {
  const seen = [...traffic.problems].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a)
  if (seen.length === 0) return html`<p class="quiet">None so far.</p>`
  return table(
    ['Code', 'Count'],
    seen.map(([code, count]) => [html`<code>${code}</code>`, count]),
  )
}

function routeTable({ routes }: StatusDocument): Html {
  return table(
    ['Name', 'Prefix', 'Upstream', 'Credential'],
    routes.map(({ name, prefix, upstream, credential }) => [
      name,
      html`<code>${prefix}</code>`,
      html`<code>${upstream}</code>`,
      credential,
    ]),
  )
}

/** The first cell of each row names the row. */
function table(heads: readonly string[], rows: readonly (readonly HtmlValue[])[]): Html {
  return html`<div class="scroll"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first = null, ...rest]) => html`
<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}
</tbody>
</table></div>`
}

function definitions(pairs: readonly (readonly [string, HtmlValue])[]): Html {
  return html`<dl>${pairs.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`
}

/** `in 4 min` with the instant itself for programs and, as a tooltip, for people. */
function instant(iso: string | null, now: number): Html {
  if (iso === null) return html`–`
  const distanceMs = Date.parse(iso) - now
  const span = formatSpan(Math.abs(distanceMs))
  return html`<time datetime="${iso}" title="${iso}">${distanceMs >= 0 ? `in ${span}` : `${span} ago`}</time>`
}
